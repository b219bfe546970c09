import time, pytest
from django.db import connection
from django.core.management import call_command
from django.core.management.sql import emit_post_migrate_signal

@pytest.mark.django_db(transaction=True)
def test_it():
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    print(len(tables))
    with connection.cursor() as c:
        c.execute("select current_user, (select rolsuper from pg_roles where rolname=current_user)"); print(c.fetchall())
        c.execute("select tgrelid::regclass, tgname from pg_trigger where not tgisinternal"); print(c.fetchall())
        for _ in range(3):
            t=time.perf_counter(); call_command("flush", verbosity=0, interactive=False, reset_sequences=False, allow_cascade=False, inhibit_post_migrate=True); print("flush no pm", time.perf_counter()-t)
            t=time.perf_counter(); emit_post_migrate_signal(0, False, "default"); print("pm", time.perf_counter()-t)
        q = " UNION ALL ".join(f"SELECT '{x}' WHERE EXISTS (SELECT FROM \"{x}\")" for x in tables)
        for _ in range(5):
            t=time.perf_counter(); c.execute(q); r=c.fetchall(); print("probe", time.perf_counter()-t, r)
        for n in (1,1000,10000):
            for kind in ("TRUNCATE outbox_message CASCADE", "DELETE FROM outbox_message"):
                for _ in range(2):
                    c.execute("insert into auth_user (username,password,is_superuser,first_name,last_name,email,is_staff,is_active,date_joined) select g::text,'',false,'','','',false,false,now() from generate_series(1,%s) g", [n])
                    k = kind.replace("outbox_message","auth_user")
                    t=time.perf_counter(); c.execute(("SET session_replication_role=replica;" if "DEL" in k else "")+k+(";SET session_replication_role=origin" if "DEL" in k else "")); print(n, k, time.perf_counter()-t)
        t=time.perf_counter(); c.execute("TRUNCATE outbox_message CASCADE"); print("outbox_message casc", time.perf_counter()-t)
        t=time.perf_counter(); c.execute("TRUNCATE outbox_message CASCADE"); print("outbox_message casc", time.perf_counter()-t)
