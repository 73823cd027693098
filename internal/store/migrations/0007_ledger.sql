-- The ledger of what was delivered, see docs/adr/0035.

-- Events that were delivered and are in no entry yet: one row per settled batch, hour
-- of the timestamp and destination, written when the events leave the buffer.
CREATE TABLE ledger_leaves (
    id             INTEGER PRIMARY KEY,
    tenant_id      INTEGER NOT NULL,
    sink           TEXT    NOT NULL,
    hour           INTEGER NOT NULL, -- since 1970
    destination_id INTEGER NOT NULL,
    events         INTEGER NOT NULL,
    leaves         BLOB    NOT NULL  -- see ledger.Leaf
) STRICT;
CREATE INDEX ledger_leaves_by_hour ON ledger_leaves (tenant_id, sink, hour); -- and id, as in every index

-- The chain that a destination has now. Without a row a new one begins.
CREATE TABLE ledger_chains (
    tenant_id    INTEGER NOT NULL,
    sink         TEXT    NOT NULL,
    chain        TEXT    NOT NULL,
    began_at     INTEGER NOT NULL,
    seq          INTEGER NOT NULL, -- of the last entry, -1 before the first
    hash         TEXT    NOT NULL, -- of the last entry
    sealed_until INTEGER NOT NULL, -- hours before it are sealed; -1 when all hours will be whole
    PRIMARY KEY (tenant_id, sink)
) STRICT, WITHOUT ROWID;

-- All entries, for ever. n orders those of all chains.
CREATE TABLE ledger_entries (
    n         INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id INTEGER NOT NULL,
    sink      TEXT    NOT NULL,
    chain     TEXT    NOT NULL,
    seq       INTEGER NOT NULL,
    line      BLOB    NOT NULL,
    UNIQUE (tenant_id, sink, chain, seq)
) STRICT;

-- How far each place has what is to be published.
CREATE TABLE ledger_places (
    tenant_id INTEGER NOT NULL,
    sink      TEXT    NOT NULL,
    place     TEXT    NOT NULL,
    published INTEGER NOT NULL, -- n of the last entry there
    PRIMARY KEY (tenant_id, sink, place)
) STRICT, WITHOUT ROWID;
