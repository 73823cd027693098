-- How much of the log a source has read without a break, by Auth0's clock; 0 when
-- unknown. It lies beside the cursor because the two move together.
ALTER TABLE cursors ADD COLUMN read_since INTEGER NOT NULL DEFAULT 0;
ALTER TABLE cursors ADD COLUMN read_until INTEGER NOT NULL DEFAULT 0;

-- When a source had read the span of a gap after all; 0 while it has not.
ALTER TABLE gaps ADD COLUMN healed_at INTEGER NOT NULL DEFAULT 0;
