-- name: try_lock
-- Of the session: whoever begins a rebuild does it alone.
SELECT pg_try_advisory_lock(hashtextextended('footfall rebuild', 0));

-- name: unlock
SELECT pg_advisory_unlock(hashtextextended('footfall rebuild', 0));

-- name: limits
-- $1 how long to wait for a lock, $2 how long a statement may take; of this transaction.
SELECT set_config('lock_timeout', $1, true), set_config('statement_timeout', $2, true);

-- name: close_gate
-- Waits, in turn, until no transaction that applies events is under way; those that come later wait for this one.
LOCK TABLE popularity_state IN ACCESS EXCLUSIVE MODE;

-- name: state
SELECT rebuild_id FROM popularity_state;

-- name: is_erasing
SELECT EXISTS (SELECT FROM erasure WHERE removing);

-- name: load
SELECT rebuild_id, moment, first_day, last_day, weights, ledger FROM rebuild WHERE rebuild_id = $1;

-- name: clear
TRUNCATE rebuild, rebuild_seen, rebuild_logged, rebuild_total, rebuild_daily, rebuild_piece, rebuild_found,
         rebuild_ledger;

-- name: start_noting
UPDATE popularity_state SET rebuild_id = $1, noting = true;

-- name: stop_noting
UPDATE popularity_state SET noting = false WHERE rebuild_id = $1;

-- name: release_state
UPDATE popularity_state SET rebuild_id = NULL, noting = false WHERE rebuild_id = $1 RETURNING true;

-- name: moment
SELECT now();

-- name: base_total
-- $1, $2 the days that are recounted: what a total has from other days stays in it.
INSERT INTO rebuild_total
SELECT product_id, sum(score), sum(view_count), sum(purchase_count), sum(favorite_count), sum(cart_count),
       sum(review_count)
FROM (
    SELECT product_id, -score AS score, -view_count AS view_count, -purchase_count AS purchase_count,
           -favorite_count AS favorite_count, -cart_count AS cart_count, -review_count AS review_count
    FROM product_popularity
    UNION ALL
    SELECT product_id, score, view_count, purchase_count, favorite_count, cart_count, review_count
    FROM product_popularity_forgotten
    UNION ALL
    SELECT product_id, score, view_count, purchase_count, favorite_count, cart_count, review_count
    FROM product_popularity_daily WHERE day NOT BETWEEN $1 AND $2
) AS sides
GROUP BY product_id;

-- name: base_daily
INSERT INTO rebuild_daily
SELECT product_id, day, -score, -view_count, -purchase_count, -favorite_count, -cart_count, -review_count
FROM product_popularity_daily WHERE day BETWEEN $1 AND $2;

-- name: note_base
INSERT INTO rebuild (rebuild_id, moment, first_day, last_day, weights, ledger) VALUES ($1, $2, $3, $4, $5, $6);

-- name: add_total
INSERT INTO rebuild_total AS t
SELECT a.*
FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[]) AS a
ON CONFLICT (product_id) DO UPDATE SET
    score          = t.score + excluded.score,
    view_count     = t.view_count + excluded.view_count,
    purchase_count = t.purchase_count + excluded.purchase_count,
    favorite_count = t.favorite_count + excluded.favorite_count,
    cart_count     = t.cart_count + excluded.cart_count,
    review_count   = t.review_count + excluded.review_count;

-- name: add_daily
INSERT INTO rebuild_daily AS t
SELECT a.*
FROM unnest($1::text[], $2::date[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
            $8::bigint[]) AS a
ON CONFLICT (product_id, day) DO UPDATE SET
    score          = t.score + excluded.score,
    view_count     = t.view_count + excluded.view_count,
    purchase_count = t.purchase_count + excluded.purchase_count,
    favorite_count = t.favorite_count + excluded.favorite_count,
    cart_count     = t.cart_count + excluded.cart_count,
    review_count   = t.review_count + excluded.review_count;

-- name: open_piece
INSERT INTO rebuild_piece (rebuild_id, range_start) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- name: piece
SELECT after_account, done, accounts, events, counted FROM rebuild_piece WHERE rebuild_id = $1 AND range_start = $2;

-- name: move_piece
-- $3 the account that it is thought to be behind: another attempt that went on meanwhile is not doubled.
UPDATE rebuild_piece
SET after_account = $4, done = $5, accounts = accounts + $6, events = events + $7, counted = counted + $8
WHERE rebuild_id = $1 AND range_start = $2 AND after_account IS NOT DISTINCT FROM $3 AND NOT done
RETURNING true;

-- name: count_differences
SELECT (SELECT count(*) FROM rebuild_total
        WHERE (score, view_count, purchase_count, favorite_count, cart_count, review_count) <> (0, 0, 0, 0, 0, 0)
       ) AS products,
       (SELECT count(*) FROM rebuild_daily
        WHERE (score, view_count, purchase_count, favorite_count, cart_count, review_count) <> (0, 0, 0, 0, 0, 0)
       ) AS product_days;

-- name: worst
-- $1 how many. A counter's one is as much as a score of one.
SELECT d.*, coalesce(l.score, 0), coalesce(l.view_count, 0), coalesce(l.purchase_count, 0),
       coalesce(l.favorite_count, 0), coalesce(l.cart_count, 0), coalesce(l.review_count, 0)
FROM (
    SELECT * FROM (
        SELECT product_id, NULL::date AS day, score, view_count, purchase_count, favorite_count, cart_count,
               review_count
        FROM rebuild_total
        UNION ALL
        SELECT * FROM rebuild_daily
    ) AS every
    WHERE (score, view_count, purchase_count, favorite_count, cart_count, review_count) <> (0, 0, 0, 0, 0, 0)
    ORDER BY abs(score) + 1000000 * (abs(view_count) + abs(purchase_count) + abs(favorite_count) + abs(cart_count)
             + abs(review_count)) DESC, product_id, day NULLS FIRST
    LIMIT $1
) AS d
LEFT JOIN LATERAL (
    SELECT score, view_count, purchase_count, favorite_count, cart_count, review_count
    FROM product_popularity p WHERE d.day IS NULL AND p.product_id = d.product_id
    UNION ALL
    SELECT score, view_count, purchase_count, favorite_count, cart_count, review_count
    FROM product_popularity_daily p WHERE p.day = d.day AND p.product_id = d.product_id
) AS l ON true;

-- name: differing_totals
-- $1 after this product, $2 how many.
SELECT d.product_id, NULL::date AS day, d.score, d.view_count, d.purchase_count, d.favorite_count, d.cart_count,
       d.review_count, coalesce(l.score, 0), coalesce(l.view_count, 0), coalesce(l.purchase_count, 0),
       coalesce(l.favorite_count, 0), coalesce(l.cart_count, 0), coalesce(l.review_count, 0)
FROM rebuild_total d LEFT JOIN product_popularity l USING (product_id)
WHERE d.product_id > $1 AND (d.score, d.view_count, d.purchase_count, d.favorite_count, d.cart_count, d.review_count)
      <> (0, 0, 0, 0, 0, 0)
ORDER BY d.product_id
LIMIT $2;

-- name: differing_days
-- $1, $2 after this product and day, $3 how many.
SELECT d.*, coalesce(l.score, 0), coalesce(l.view_count, 0), coalesce(l.purchase_count, 0),
       coalesce(l.favorite_count, 0), coalesce(l.cart_count, 0), coalesce(l.review_count, 0)
FROM rebuild_daily d LEFT JOIN product_popularity_daily l USING (product_id, day)
WHERE (d.product_id, d.day) > ($1, $2)
  AND (d.score, d.view_count, d.purchase_count, d.favorite_count, d.cart_count, d.review_count)
      <> (0, 0, 0, 0, 0, 0)
ORDER BY d.product_id, d.day
LIMIT $3;

-- name: end_of_chunk
-- $1 after this product, $2 how many: the last of the next products that differ.
SELECT max(product_id) FROM (
    (SELECT product_id FROM rebuild_total
     WHERE product_id > $1 AND (score, view_count, purchase_count, favorite_count, cart_count, review_count)
           <> (0, 0, 0, 0, 0, 0)
     ORDER BY product_id LIMIT $2)
    UNION
    (SELECT DISTINCT product_id FROM rebuild_daily
     WHERE product_id > $1 AND (score, view_count, purchase_count, favorite_count, cart_count, review_count)
           <> (0, 0, 0, 0, 0, 0)
     ORDER BY product_id LIMIT $2)
    ORDER BY product_id LIMIT $2
) AS next;

-- name: move_totals
-- $1, $2 after one product up to another: what is taken out of the difference is added to the live rows; the
-- products that have nothing left. Another attempt waits at the first row, then finds it gone.
WITH gone AS (
    DELETE FROM rebuild_total WHERE product_id > $1 AND product_id <= $2 RETURNING *
), added AS (
    INSERT INTO product_popularity AS p
        (product_id, score, view_count, purchase_count, favorite_count, cart_count, review_count, date_updated)
    SELECT product_id, score, view_count, purchase_count, favorite_count, cart_count, review_count, now()
    FROM gone
    WHERE (score, view_count, purchase_count, favorite_count, cart_count, review_count) <> (0, 0, 0, 0, 0, 0)
    ORDER BY product_id  -- as all who add
    ON CONFLICT (product_id) DO UPDATE SET
        score          = p.score + excluded.score,
        view_count     = p.view_count + excluded.view_count,
        purchase_count = p.purchase_count + excluded.purchase_count,
        favorite_count = p.favorite_count + excluded.favorite_count,
        cart_count     = p.cart_count + excluded.cart_count,
        review_count   = p.review_count + excluded.review_count,
        date_updated   = excluded.date_updated
    RETURNING p.product_id, p.score, p.view_count, p.purchase_count, p.favorite_count, p.cart_count, p.review_count
)
SELECT product_id FROM added
WHERE (score, view_count, purchase_count, favorite_count, cart_count, review_count) = (0, 0, 0, 0, 0, 0);

-- name: move_days
WITH gone AS (
    DELETE FROM rebuild_daily WHERE product_id > $1 AND product_id <= $2 RETURNING *
), added AS (
    INSERT INTO product_popularity_daily AS p
        (day, product_id, score, view_count, purchase_count, favorite_count, cart_count, review_count, date_updated)
    SELECT day, product_id, score, view_count, purchase_count, favorite_count, cart_count, review_count, now()
    FROM gone
    WHERE (score, view_count, purchase_count, favorite_count, cart_count, review_count) <> (0, 0, 0, 0, 0, 0)
    ORDER BY day, product_id
    ON CONFLICT (day, product_id) DO UPDATE SET
        score          = p.score + excluded.score,
        view_count     = p.view_count + excluded.view_count,
        purchase_count = p.purchase_count + excluded.purchase_count,
        favorite_count = p.favorite_count + excluded.favorite_count,
        cart_count     = p.cart_count + excluded.cart_count,
        review_count   = p.review_count + excluded.review_count,
        date_updated   = excluded.date_updated
    RETURNING p.day, p.product_id, p.score, p.view_count, p.purchase_count, p.favorite_count, p.cart_count,
              p.review_count
)
SELECT day, product_id FROM added
WHERE (score, view_count, purchase_count, favorite_count, cart_count, review_count) = (0, 0, 0, 0, 0, 0);

-- name: drop_totals
-- What these rows held is nothing; they are locked by the statement before.
DELETE FROM product_popularity WHERE product_id = ANY ($1::text[]);

-- name: drop_days
DELETE FROM product_popularity_daily p USING unnest($1::date[], $2::text[]) AS d (day, product_id)
WHERE p.day = d.day AND p.product_id = d.product_id;
