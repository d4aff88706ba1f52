-- Compaction folds an account's delta blocks of a week into sealed ones, and keeps count of what a week holds.

ALTER TABLE interaction_block ADD COLUMN sealed boolean NOT NULL DEFAULT false;

CREATE TABLE block_metadata (
    account_id  text COLLATE "C" NOT NULL,
    week        integer NOT NULL,
    event_count integer NOT NULL,
    byte_count  bigint NOT NULL,       -- of the blocks, as stored
    first_at    timestamptz NOT NULL,  -- of the earliest interaction
    last_at     timestamptz NOT NULL,
    PRIMARY KEY (account_id, week)
);
CREATE INDEX block_metadata_week ON block_metadata (week);
