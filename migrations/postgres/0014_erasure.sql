-- Erasing what an account did; docs/erasure.md and docs/decisions/0019-erasure.md.

-- One row, always: the key of the hash that an erased account is known by. Made here and kept nowhere else.
CREATE TABLE erasure_key (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    key bytea NOT NULL DEFAULT decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')
);
INSERT INTO erasure_key DEFAULT VALUES;

CREATE TABLE erasure (
    erasure_id    uuid PRIMARY KEY,
    account_id    text COLLATE "C",                 -- null once it is done
    account_key   bytea,                            -- its keyed hash; null once nothing that old is accepted any more
    subtract      boolean NOT NULL,
    asked_at      timestamptz NOT NULL DEFAULT now(),
    erased_before bigint,                           -- µs since 1970: what occurred before it goes; null: not begun
    removing      boolean NOT NULL DEFAULT false,   -- popularity and blocks may differ by it: no rebuild begins
    erased_at     timestamptz,                      -- all stores were gone through
    done_at       timestamptz,                      -- and once more, after whoever was at work then had ended
    counts        jsonb NOT NULL DEFAULT '{}'       -- what was removed, by name
);
-- Who asks twice before it has begun has asked once.
CREATE UNIQUE INDEX erasure_asked ON erasure (account_id) WHERE erased_before IS NULL;
CREATE INDEX erasure_open ON erasure (asked_at) WHERE done_at IS NULL;
CREATE INDEX erasure_known ON erasure (erased_before) WHERE account_key IS NOT NULL;

-- Intake rows of which an erasure took its account's interactions. These are kept, until they are counted, where
-- popularity had applied them: their blocks may never have been written.
CREATE TABLE erasure_row (
    erasure_id uuid NOT NULL,
    intake_id  uuid NOT NULL,
    batch_id   uuid NOT NULL,
    events     bytea,
    PRIMARY KEY (erasure_id, intake_id)
);
CREATE INDEX erasure_row_intake ON erasure_row (intake_id);

-- Interactions of erasures under way whose share in popularity is settled: whoever finds one again leaves it at that.
CREATE TABLE erasure_event (
    event_id   uuid PRIMARY KEY,
    erasure_id uuid NOT NULL
);
CREATE INDEX erasure_event_erasure ON erasure_event (erasure_id);

-- What popularity still counts and no block holds, of all erased accounts together. By type, not by score: so that it
-- follows when weights change.
CREATE TABLE popularity_erased (
    day        date NOT NULL,
    product_id text COLLATE "C" NOT NULL,
    event_type text COLLATE "C" NOT NULL,
    events     bigint NOT NULL,
    PRIMARY KEY (day, product_id, event_type)
);
