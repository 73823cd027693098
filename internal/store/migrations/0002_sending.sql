-- What has been handed out to be sent and is not settled: one row per batch, kept
-- until the outcome of all its events is known. Rows found at a start are of a
-- process that died, and their events may have arrived.
CREATE TABLE sending (
    id          INTEGER PRIMARY KEY,
    tenant_id   INTEGER NOT NULL,
    since       INTEGER NOT NULL, -- when the first of them may have been sent
    seqs        BLOB    NOT NULL  -- ascending, each as the uvarint distance from the one before
) STRICT;
CREATE INDEX sending_by_tenant ON sending (tenant_id);
