"""The ledger's tables. Every rule that can be said in SQL is said here."""

from __future__ import annotations

# One row per idempotency key that ever asked for an effect. `details` is the request, as canonical JSON: it
# is both the answer's raw material and what a second request with the same key is compared with. `seq` orders
# the ledger and is its paging cursor; it has no holes a reader could skip over, because there is a single
# writer.
EFFECTS = """
CREATE TABLE IF NOT EXISTS effects (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    service    TEXT NOT NULL CHECK (service IN ('payment', 'shipping')),
    key        TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    state      TEXT NOT NULL CHECK (state IN ('done', 'refused', 'undone', 'voided')),
    reference  TEXT NOT NULL,
    details    TEXT,
    refusal    TEXT,
    created_at TEXT NOT NULL,
    undone_at  TEXT,
    UNIQUE (service, key),
    CHECK ((details IS NULL) = (state = 'voided')),
    CHECK ((refusal IS NOT NULL) = (state = 'refused')),
    CHECK ((undone_at IS NOT NULL) = (state = 'undone'))
)
"""

EFFECTS_BY_REFERENCE = "CREATE INDEX IF NOT EXISTS effects_reference ON effects (service, reference)"

# One row per idempotency key that ever asked to take an effect back, with what came of it.
UNDOS = """
CREATE TABLE IF NOT EXISTS undos (
    service    TEXT NOT NULL CHECK (service IN ('payment', 'shipping')),
    key        TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    target_key TEXT NOT NULL,
    reference  TEXT NOT NULL,
    undone     INTEGER NOT NULL CHECK (undone IN (0, 1)),
    created_at TEXT NOT NULL,
    PRIMARY KEY (service, key)
) WITHOUT ROWID
"""

FAULTS = """
CREATE TABLE IF NOT EXISTS faults (
    service  TEXT PRIMARY KEY CHECK (service IN ('payment', 'shipping')),
    settings TEXT NOT NULL CHECK (json_valid(settings))
)
"""

STATEMENTS = (EFFECTS, EFFECTS_BY_REFERENCE, UNDOS, FAULTS)
