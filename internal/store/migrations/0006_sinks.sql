-- The sinks of a tenant besides its main one, whose figures stay in the table
-- tenants; see docs/adr/0025. Those of a sink that is not configured any more stay
-- while events of it wait.
CREATE TABLE sinks (
    tenant_id       INTEGER NOT NULL,
    name            TEXT    NOT NULL,
    buffered_events INTEGER NOT NULL DEFAULT 0,
    buffered_bytes  INTEGER NOT NULL DEFAULT 0,
    delivered_at    INTEGER NOT NULL DEFAULT 0, -- last time that an event was delivered
    PRIMARY KEY (tenant_id, name)
) STRICT, WITHOUT ROWID;

-- Two sinks may lead to the same names in different accounts.
CREATE TABLE destinations_of_sinks (
    id         INTEGER PRIMARY KEY,
    tenant_id  INTEGER NOT NULL REFERENCES tenants (id),
    sink       TEXT    NOT NULL DEFAULT '', -- empty for the main one
    log_group  TEXT    NOT NULL,
    log_stream TEXT    NOT NULL,
    UNIQUE (tenant_id, sink, log_group, log_stream)
) STRICT;
INSERT INTO destinations_of_sinks (id, tenant_id, log_group, log_stream) SELECT id, tenant_id, log_group, log_stream FROM destinations;
DROP TABLE destinations;
ALTER TABLE destinations_of_sinks RENAME TO destinations;

-- An event may have a letter for each sink, which are replayed one by one.
CREATE TABLE letter_ids_of_sinks (
    tenant_id INTEGER NOT NULL,
    log_id    TEXT    NOT NULL,
    since     INTEGER NOT NULL,
    seq       INTEGER NOT NULL, -- of the event in the buffer; 0 when it was dropped
    PRIMARY KEY (tenant_id, log_id, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO letter_ids_of_sinks (tenant_id, log_id, since, seq) SELECT tenant_id, log_id, since, seq FROM letter_ids;
DROP TABLE letter_ids;
ALTER TABLE letter_ids_of_sinks RENAME TO letter_ids;
CREATE INDEX letter_ids_by_age ON letter_ids (since);

-- After a damage: the events of which a sink has a copy, of tenants with several. One
-- that is read again goes to the others, whose copy may have been lost.
CREATE TABLE partly (
    tenant_id INTEGER NOT NULL,
    log_id    TEXT    NOT NULL,
    sink      TEXT    NOT NULL,
    PRIMARY KEY (tenant_id, log_id, sink)
) STRICT, WITHOUT ROWID;
