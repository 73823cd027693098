-- The source that brought an event, which its dead letter tells.
ALTER TABLE buffer ADD COLUMN source TEXT NOT NULL DEFAULT '';

-- What the dead letters of a tenant take, so that it needs no scan of them; every
-- transaction that changes the letters changes these figures with them.
ALTER TABLE tenants ADD COLUMN dead_letter_bytes INTEGER NOT NULL DEFAULT 0;
CREATE TABLE dead_letter_sums (
    tenant_id INTEGER NOT NULL,
    kind      TEXT    NOT NULL,
    reason    TEXT    NOT NULL,
    letters   INTEGER NOT NULL,
    bytes     INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, kind, reason)
) STRICT, WITHOUT ROWID;
INSERT INTO dead_letter_sums (tenant_id, kind, reason, letters, bytes)
    SELECT tenant_id, kind, reason, count(*), sum(length(body)) FROM dead_letters GROUP BY tenant_id, kind, reason;
UPDATE tenants SET dead_letter_bytes = (SELECT coalesce(sum(bytes), 0) FROM dead_letter_sums WHERE tenant_id = tenants.id);

-- The same letters under ids that are never used again: a person names a letter
-- by its id, and must not meet another one under it.
ALTER TABLE dead_letters RENAME TO dead_letters_before;
CREATE TABLE dead_letters (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id      INTEGER NOT NULL,
    kind           TEXT    NOT NULL, -- rejected, altered, unreadable
    created_at     INTEGER NOT NULL,
    destination_id INTEGER REFERENCES destinations (id), -- null for unreadable
    source         TEXT    NOT NULL, -- empty for events stored by an earlier release
    reason         TEXT    NOT NULL,
    detail         TEXT    NOT NULL,
    log_id         TEXT    NOT NULL, -- empty for unreadable
    type           TEXT    NOT NULL,
    date           INTEGER NOT NULL, -- 0 for unreadable
    date_from      INTEGER NOT NULL,
    body           BLOB    NOT NULL
) STRICT;
INSERT INTO dead_letters (id, tenant_id, kind, created_at, destination_id, source, reason, detail, log_id, type, date, date_from, body)
    SELECT id, tenant_id, kind, created_at, destination_id, source, reason, detail, log_id, type, date, date_from, body
    FROM dead_letters_before ORDER BY id;
DROP TABLE dead_letters_before;
CREATE INDEX dead_letters_by_tenant ON dead_letters (tenant_id);

-- A rejected event is known by its log_id for as long as its letter lies here: it
-- may yet be replayed, and must not have come in a second time by then.
CREATE INDEX dead_letters_by_log_id ON dead_letters (tenant_id, log_id) WHERE kind = 'rejected';
INSERT OR IGNORE INTO seen (tenant_id, log_id) SELECT tenant_id, log_id FROM dead_letters WHERE kind = 'rejected';

-- The log_ids of letters that were replayed or dropped. Their intakes may have
-- been forgotten, or be about to be: these are known for a dedup window of their
-- own, and while the event is in the buffer again.
CREATE TABLE letter_ids (
    tenant_id INTEGER NOT NULL,
    log_id    TEXT    NOT NULL,
    since     INTEGER NOT NULL,
    seq       INTEGER NOT NULL, -- of the event in the buffer; 0 when it was dropped
    PRIMARY KEY (tenant_id, log_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX letter_ids_by_age ON letter_ids (since);
