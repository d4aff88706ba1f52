-- The block store's embedded form: one account's interactions of one week, from one intake row.
-- Weeks are counted from 1969-12-29. A partition holds 8 weeks and is dropped when all of them are out of keep.

CREATE TABLE interaction_block (
    account_id  text COLLATE "C" NOT NULL,
    week        integer NOT NULL,
    block_id    uuid NOT NULL,
    event_count integer NOT NULL,
    data        bytea STORAGE EXTERNAL NOT NULL,  -- compressed before it comes here
    PRIMARY KEY (account_id, week, block_id)
) PARTITION BY RANGE (week);
