-- Times are microseconds since 1970 in UTC: datetime(x / 1000000, 'unixepoch').

-- The figures are kept beside the name so that they need no scan of the buffer;
-- every transaction that changes the rows changes them with it.
CREATE TABLE tenants (
    id              INTEGER PRIMARY KEY,
    name            TEXT    NOT NULL UNIQUE,
    buffered_events INTEGER NOT NULL DEFAULT 0,
    buffered_bytes  INTEGER NOT NULL DEFAULT 0,
    dead_letters    INTEGER NOT NULL DEFAULT 0,
    newest_date     INTEGER NOT NULL DEFAULT 0, -- of all events ever stored
    stored_at       INTEGER NOT NULL DEFAULT 0, -- last time that a new event was stored
    delivered_at    INTEGER NOT NULL DEFAULT 0  -- last time that an event was delivered
) STRICT;

CREATE TABLE destinations (
    id         INTEGER PRIMARY KEY,
    tenant_id  INTEGER NOT NULL REFERENCES tenants (id),
    log_group  TEXT    NOT NULL,
    log_stream TEXT    NOT NULL,
    UNIQUE (tenant_id, log_group, log_stream)
) STRICT;

-- Events that are stored and not delivered. seq rises with each event stored, so
-- inserts go to the end and what was delivered frees whole pages.
CREATE TABLE buffer (
    seq            INTEGER PRIMARY KEY,
    destination_id INTEGER NOT NULL REFERENCES destinations (id),
    date           INTEGER NOT NULL,
    date_from      INTEGER NOT NULL, -- 0 field, 1 log_id, 2 received
    stored_at      INTEGER NOT NULL,
    log_id         TEXT    NOT NULL,
    type           TEXT    NOT NULL,
    body           BLOB    NOT NULL
) STRICT;
CREATE INDEX buffer_by_date ON buffer (destination_id, date); -- and seq, as in every index

-- One row per log_id within the dedup window.
CREATE TABLE seen (
    tenant_id INTEGER NOT NULL,
    log_id    TEXT    NOT NULL,
    PRIMARY KEY (tenant_id, log_id)
) STRICT, WITHOUT ROWID;

-- What to forget once the window has passed: one row per append instead of an
-- index over seen, which would cost every event another insert.
CREATE TABLE intakes (
    id        INTEGER PRIMARY KEY,
    tenant_id INTEGER NOT NULL,
    stored_at INTEGER NOT NULL,
    first_seq INTEGER NOT NULL, -- the events of the append in buffer
    last_seq  INTEGER NOT NULL,
    log_ids   BLOB    NOT NULL  -- each behind its length as a uvarint
) STRICT;
CREATE INDEX intakes_by_age ON intakes (stored_at, id, tenant_id, first_seq, last_seq);

CREATE TABLE cursors (
    tenant_id  INTEGER NOT NULL,
    source     TEXT    NOT NULL,
    cursor     TEXT    NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, source)
) STRICT, WITHOUT ROWID;

CREATE TABLE dead_letters (
    id             INTEGER PRIMARY KEY,
    tenant_id      INTEGER NOT NULL,
    kind           TEXT    NOT NULL, -- rejected, altered, unreadable
    created_at     INTEGER NOT NULL,
    destination_id INTEGER REFERENCES destinations (id), -- null for unreadable
    source         TEXT    NOT NULL, -- empty for events
    reason         TEXT    NOT NULL,
    detail         TEXT    NOT NULL,
    log_id         TEXT    NOT NULL, -- empty for unreadable
    type           TEXT    NOT NULL,
    date           INTEGER NOT NULL, -- 0 for unreadable
    date_from      INTEGER NOT NULL,
    body           BLOB    NOT NULL
) STRICT;
CREATE INDEX dead_letters_by_tenant ON dead_letters (tenant_id);

CREATE TABLE gaps (
    id          INTEGER PRIMARY KEY,
    tenant_id   INTEGER NOT NULL,
    source      TEXT    NOT NULL,
    from_id     TEXT    NOT NULL,
    from_time   INTEGER NOT NULL, -- 0 when unknown
    to_id       TEXT    NOT NULL,
    to_time     INTEGER NOT NULL,
    reason      TEXT    NOT NULL,
    recorded_at INTEGER NOT NULL
) STRICT;
CREATE INDEX gaps_by_tenant ON gaps (tenant_id);

-- What happened, by minute since 1970, and all of it.
CREATE TABLE counts (
    minute    INTEGER NOT NULL,
    tenant_id INTEGER NOT NULL,
    name      TEXT    NOT NULL,
    reason    TEXT    NOT NULL,
    n         INTEGER NOT NULL,
    PRIMARY KEY (minute, tenant_id, name, reason)
) STRICT, WITHOUT ROWID;

CREATE TABLE totals (
    tenant_id INTEGER NOT NULL,
    name      TEXT    NOT NULL,
    reason    TEXT    NOT NULL,
    n         INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, name, reason)
) STRICT, WITHOUT ROWID;

-- The trouble that a part of a tenant's export is in.
CREATE TABLE conditions (
    tenant_id  INTEGER NOT NULL,
    part       TEXT    NOT NULL,
    since      INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    failures   INTEGER NOT NULL,
    class      TEXT    NOT NULL,
    message    TEXT    NOT NULL,
    hint       TEXT    NOT NULL,
    PRIMARY KEY (tenant_id, part)
) STRICT, WITHOUT ROWID;

-- Small values that outlive a restart; space keeps settings and secrets apart.
CREATE TABLE kv (
    tenant_id  INTEGER NOT NULL,
    space      TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    value      BLOB    NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, space, key)
) STRICT, WITHOUT ROWID;
