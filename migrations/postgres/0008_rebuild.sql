-- Rebuilding popularity from the block store, as a difference that is added beside live traffic; docs/rebuild.md.

-- One row, always. Every transaction that applies interactions to popularity reads it first and so holds the table's
-- ACCESS SHARE lock to its end; a rebuild begins under ACCESS EXCLUSIVE, when none of them is under way.
CREATE TABLE popularity_state (
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    rebuild_id uuid,                           -- null: no rebuild is on
    noting     boolean NOT NULL DEFAULT false  -- who applies events now puts their ids into rebuild_seen
);
INSERT INTO popularity_state DEFAULT VALUES;

-- What of a product's total is of days whose daily rows are gone: total = forgotten + the sum of its daily rows.
CREATE TABLE product_popularity_forgotten (
    product_id     text COLLATE "C" PRIMARY KEY,
    score          bigint NOT NULL,
    view_count     bigint NOT NULL,
    purchase_count bigint NOT NULL,
    favorite_count bigint NOT NULL,
    cart_count     bigint NOT NULL,
    review_count   bigint NOT NULL
);
INSERT INTO product_popularity_forgotten
SELECT product_id, sum(score), sum(view_count), sum(purchase_count), sum(favorite_count), sum(cart_count),
       sum(review_count)
FROM (
    SELECT product_id, score, view_count, purchase_count, favorite_count, cart_count, review_count
    FROM product_popularity
    UNION ALL
    SELECT product_id, -score, -view_count, -purchase_count, -favorite_count, -cart_count, -review_count
    FROM product_popularity_daily
) AS both_sides
GROUP BY product_id
HAVING (sum(score), sum(view_count), sum(purchase_count), sum(favorite_count), sum(cart_count), sum(review_count))
       <> (0, 0, 0, 0, 0, 0);

-- The rebuild whose base is written: the moment that its difference is of, and what it counts.
CREATE TABLE rebuild (
    rebuild_id uuid PRIMARY KEY,
    moment     timestamptz NOT NULL,
    first_day  date NOT NULL,
    last_day   date NOT NULL,
    weights    text NOT NULL,     -- JSON
    ledger     boolean NOT NULL   -- ids found in blocks are kept and held against the ledger
);

-- Ids that the difference has nothing to do with: applied after the moment, or counted with its base. No primary
-- key: nobody who applies events waits for another here.
CREATE TABLE rebuild_seen (event_id uuid NOT NULL);
CREATE INDEX rebuild_seen_event ON rebuild_seen (event_id);

-- Intake rows that were in the log at the moment.
CREATE TABLE rebuild_logged (intake_id uuid PRIMARY KEY);

-- The difference: what is to be added to the live rows.
CREATE TABLE rebuild_total (
    product_id     text COLLATE "C" PRIMARY KEY,
    score          bigint NOT NULL,
    view_count     bigint NOT NULL,
    purchase_count bigint NOT NULL,
    favorite_count bigint NOT NULL,
    cart_count     bigint NOT NULL,
    review_count   bigint NOT NULL
) WITH (fillfactor = 70);
CREATE TABLE rebuild_daily (
    product_id     text COLLATE "C" NOT NULL,
    day            date NOT NULL,
    score          bigint NOT NULL,
    view_count     bigint NOT NULL,
    purchase_count bigint NOT NULL,
    favorite_count bigint NOT NULL,
    cart_count     bigint NOT NULL,
    review_count   bigint NOT NULL,
    PRIMARY KEY (product_id, day)
) WITH (fillfactor = 70);

-- How far the recount of a token range is; moved in the transaction that adds what was counted.
CREATE TABLE rebuild_piece (
    rebuild_id    uuid NOT NULL,
    range_start   bigint NOT NULL,
    after_account text COLLATE "C",           -- null: at its start
    done          boolean NOT NULL DEFAULT false,
    accounts      bigint NOT NULL DEFAULT 0,
    events        bigint NOT NULL DEFAULT 0,  -- in blocks, each once
    counted       bigint NOT NULL DEFAULT 0,  -- of these, counted into the difference
    PRIMARY KEY (rebuild_id, range_start)
);

-- Event ids found in blocks, with the day on which they occurred; and what of that does not fit the ledger.
CREATE TABLE rebuild_found (event_id uuid NOT NULL, day date NOT NULL);
CREATE TABLE rebuild_ledger (
    event_id uuid PRIMARY KEY,
    day      date NOT NULL,
    fault    text NOT NULL CHECK (fault IN ('in no block', 'unknown to the ledger'))
);
