-- Events that are stored and not delivered. A row holds those of an intake that go
-- to one destination, up to bounds; see docs/adr/0020. Their numbers are seq to
-- last_seq, so inserts go to the end and what was delivered frees whole pages.
-- repack moves the events of an earlier release over.
DROP INDEX buffer_by_date;
ALTER TABLE buffer RENAME TO buffer_before;
CREATE TABLE buffer (
    seq            INTEGER PRIMARY KEY,
    last_seq       INTEGER NOT NULL,
    destination_id INTEGER NOT NULL REFERENCES destinations (id),
    date           INTEGER NOT NULL, -- of the oldest event that waits
    stored_at      INTEGER NOT NULL,
    source         TEXT    NOT NULL, -- that brought them, which a dead letter tells
    events         INTEGER NOT NULL, -- that wait
    bytes          INTEGER NOT NULL, -- of those, as they came
    gone           BLOB    NOT NULL, -- a bit for each event, set when it has left
    dates          BLOB    NOT NULL, -- of the events, each as the varint distance from the one before
    body           BLOB    NOT NULL  -- the events, see row.go
) STRICT;
CREATE INDEX buffer_by_date ON buffer (destination_id, date); -- and seq, as in every index
