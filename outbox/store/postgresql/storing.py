"""Questions to PostgreSQL's catalogues: options, indexes, sizes, and who holds back vacuum."""

from __future__ import annotations

OPTIONS = """
SELECT relname, coalesce(reloptions, '{}') FROM pg_class
WHERE relkind IN ('r', 'p') AND relname = ANY(%s) AND pg_table_is_visible(oid)
"""

INDEXES = """
SELECT i.relname, x.indisvalid
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
WHERE t.relname = ANY(%s) AND pg_table_is_visible(t.oid)
"""

INDEX_ENTRIES = """
SELECT reltuples::float8 * (pg_relation_size(oid) / current_setting('block_size')::int) / relpages
FROM pg_class WHERE relname = %s AND relkind = 'i' AND pg_table_is_visible(oid) AND relpages > 0 AND reltuples >= 0
"""
"""As many as its pages had when it was vacuumed or analysed last, for the pages that it has now."""

TABLES = """
SELECT relname, pg_table_size(relid), pg_indexes_size(relid), n_live_tup, n_dead_tup,
       greatest(last_vacuum, last_autovacuum)
FROM pg_stat_user_tables WHERE relname = ANY(%s) AND pg_table_is_visible(relid) ORDER BY relname
"""

HORIZON = """
SELECT kind, name, who, since, seconds, transactions, state, query, query_since, remedy FROM (
    SELECT CASE WHEN backend_type = 'walsender' THEN 'standby' ELSE 'session' END AS kind, pid::text AS name,
           concat_ws(', ', usename, nullif(application_name, ''), host(client_addr)) AS who,
           xact_start AS since, extract(epoch FROM clock_timestamp() - xact_start)::float8 AS seconds,
           greatest(age(backend_xmin), age(backend_xid)) AS transactions,
           coalesce(state, backend_type, '') AS state,
           left(regexp_replace(query, '\\s+', ' ', 'g'), 200) AS query, query_start AS query_since,
           format('SELECT pg_terminate_backend(%%s)', pid) AS remedy
    FROM pg_stat_activity
    WHERE (datname = current_database() OR backend_type = 'walsender')
      AND pid <> pg_backend_pid() AND backend_type <> 'autovacuum worker'  -- vacuum does not hold back vacuum
      AND coalesce(backend_xmin, backend_xid) IS NOT NULL
    UNION ALL
    SELECT 'prepared transaction', gid, owner, prepared,
           extract(epoch FROM clock_timestamp() - prepared)::float8, age(transaction), 'prepared', '', NULL,
           format('ROLLBACK PREPARED %%L', gid)
    FROM pg_prepared_xacts WHERE database = current_database()
    UNION ALL
    SELECT 'replication slot', slot_name, coalesce(plugin, slot_type), NULL, NULL, age(xmin),
           CASE WHEN active THEN 'active' ELSE 'inactive' END, '', NULL,
           format('SELECT pg_drop_replication_slot(%%L)', slot_name)
    FROM pg_replication_slots WHERE xmin IS NOT NULL
) AS holders
WHERE seconds >= %(seconds)s OR (seconds IS NULL AND transactions >= %(transactions)s)
ORDER BY transactions DESC, seconds DESC NULLS LAST
"""
