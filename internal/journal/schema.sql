-- Times are microseconds since 1970 in UTC; 0 is none.

-- Events of a tenant and sink whose outcome is known, see block.go.
CREATE TABLE blocks (
    id        INTEGER PRIMARY KEY,
    tenant    TEXT    NOT NULL,
    sink      TEXT    NOT NULL, -- empty for the main one; of the others no bytes are kept
    level     INTEGER NOT NULL, -- how often its events were merged; -1 raw, 1024 full, see raw.go
    first_seq INTEGER NOT NULL, -- numbers of arrival
    last_seq  INTEGER NOT NULL,
    oldest    INTEGER NOT NULL, -- dates of events
    newest    INTEGER NOT NULL,
    settled   INTEGER NOT NULL, -- the latest outcome
    events    INTEGER NOT NULL,
    failed    INTEGER NOT NULL,
    bytes     INTEGER NOT NULL, -- of the events, before compression
    types     TEXT    NOT NULL, -- between commas
    ids       BLOB    NOT NULL, -- bloom filter of the log_ids
    stats     BLOB    NOT NULL, -- these three compressed
    words     BLOB    NOT NULL,
    facts     BLOB    NOT NULL
) STRICT;
CREATE INDEX blocks_by_date ON blocks (sink, newest, tenant, oldest);
CREATE INDEX blocks_by_arrival ON blocks (last_seq);
CREATE INDEX blocks_by_level ON blocks (level, tenant, sink);

CREATE TABLE bodies (
    block INTEGER PRIMARY KEY,
    body  BLOB NOT NULL -- the events one after the other, compressed
) STRICT;

CREATE TABLE deliveries (
    id         INTEGER PRIMARY KEY,
    at         INTEGER NOT NULL,
    took       INTEGER NOT NULL, -- nanoseconds
    tenant     TEXT    NOT NULL,
    sink       TEXT    NOT NULL,
    log_group  TEXT    NOT NULL,
    log_stream TEXT    NOT NULL,
    events     INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    delivered  INTEGER NOT NULL,
    rejected   INTEGER NOT NULL,
    retried    INTEGER NOT NULL,
    doubt      INTEGER NOT NULL,
    error      TEXT    NOT NULL
) STRICT;
CREATE INDEX deliveries_by_time ON deliveries (at);

CREATE TABLE runs (
    id         INTEGER PRIMARY KEY,
    tenant     TEXT    NOT NULL,
    source     TEXT    NOT NULL,
    began      INTEGER NOT NULL,
    ended      INTEGER NOT NULL, -- 0 while it is under way
    updated    INTEGER NOT NULL,
    pages      INTEGER NOT NULL,
    events     INTEGER NOT NULL,
    stored     INTEGER NOT NULL,
    duplicates INTEGER NOT NULL,
    skipped    INTEGER NOT NULL,
    checkpoint TEXT    NOT NULL,
    error      TEXT    NOT NULL,
    hint       TEXT    NOT NULL
) STRICT;
CREATE INDEX runs_by_time ON runs (began);

-- Since when all that passed is here: the making of the file, and the youngest date
-- among the blocks that were deleted.
CREATE TABLE since (
    at INTEGER NOT NULL
) STRICT;
INSERT INTO since (at) VALUES (0);

PRAGMA application_id = 1735421288;
PRAGMA user_version = 1;
