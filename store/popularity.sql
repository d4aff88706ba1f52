-- name: add_total
-- Products in order, so that two transactions never deadlock.
INSERT INTO product_popularity AS p
    (product_id, score, view_count, purchase_count, favorite_count, cart_count, review_count, date_updated)
SELECT t.*, now()
FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[]) AS t
ON CONFLICT (product_id) DO UPDATE SET
    score          = p.score + excluded.score,
    view_count     = p.view_count + excluded.view_count,
    purchase_count = p.purchase_count + excluded.purchase_count,
    favorite_count = p.favorite_count + excluded.favorite_count,
    cart_count     = p.cart_count + excluded.cart_count,
    review_count   = p.review_count + excluded.review_count,
    date_updated   = excluded.date_updated;

-- name: add_daily
INSERT INTO product_popularity_daily AS p
    (day, product_id, score, view_count, purchase_count, favorite_count, cart_count, review_count, date_updated)
SELECT t.*, now()
FROM unnest($1::date[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
            $8::bigint[]) AS t
ON CONFLICT (day, product_id) DO UPDATE SET
    score          = p.score + excluded.score,
    view_count     = p.view_count + excluded.view_count,
    purchase_count = p.purchase_count + excluded.purchase_count,
    favorite_count = p.favorite_count + excluded.favorite_count,
    cart_count     = p.cart_count + excluded.cart_count,
    review_count   = p.review_count + excluded.review_count,
    date_updated   = excluded.date_updated;

-- name: top
-- What the catalog says is not to be shown is left out, here and below.
SELECT product_id, score, view_count, purchase_count, favorite_count, cart_count, review_count, date_updated
FROM product_popularity p
WHERE NOT EXISTS (SELECT FROM item i WHERE i.item_id = p.product_id AND NOT i.is_active)
ORDER BY score DESC, product_id
LIMIT $1;

-- name: top_after
-- $2, $3: the score and id of the last product of the page before. The first condition is the index's bound.
SELECT product_id, score, view_count, purchase_count, favorite_count, cart_count, review_count, date_updated
FROM product_popularity p
WHERE score <= $2 AND (score < $2 OR product_id > $3)
  AND NOT EXISTS (SELECT FROM item i WHERE i.item_id = p.product_id AND NOT i.is_active)
ORDER BY score DESC, product_id
LIMIT $1;

-- name: top_wanted
-- As above, $2 and $3 null for the first page; $4 ids that are left out; $5 a category, or null for all; $6 whether
-- only what is in stock is wanted: of what nobody described that is not known to be missing.
SELECT product_id, score, view_count, purchase_count, favorite_count, cart_count, review_count, date_updated
FROM product_popularity p LEFT JOIN item i ON i.item_id = p.product_id
WHERE score <= coalesce($2, 9223372036854775807)
  AND ($2::bigint IS NULL OR score < $2 OR product_id > $3)
  AND product_id <> ALL ($4::text[])
  AND ($5::text IS NULL OR i.category = $5)
  AND coalesce(i.is_active, true) AND (NOT $6::boolean OR coalesce(i.in_stock, true))
ORDER BY score DESC, product_id
LIMIT $1;

-- name: top_since
-- $2 the first day; $3, $4 the place as above, null for the first page; $5, $6, $7 what is wanted, as above.
SELECT product_id, sum(score)::bigint AS score,
       sum(view_count)::bigint AS view_count, sum(purchase_count)::bigint AS purchase_count,
       sum(favorite_count)::bigint AS favorite_count, sum(cart_count)::bigint AS cart_count,
       sum(review_count)::bigint AS review_count, max(date_updated) AS date_updated
FROM product_popularity_daily p LEFT JOIN item i ON i.item_id = p.product_id
WHERE day >= $2
  AND product_id <> ALL ($5::text[])
  AND ($6::text IS NULL OR i.category = $6)
  AND coalesce(i.is_active, true) AND (NOT $7::boolean OR coalesce(i.in_stock, true))
GROUP BY product_id
HAVING $3::bigint IS NULL OR sum(score) < $3 OR (sum(score) = $3 AND product_id > $4)
ORDER BY 2 DESC, product_id
LIMIT $1;

-- name: of_product
SELECT product_id, score, view_count, purchase_count, favorite_count, cart_count, review_count, date_updated
FROM product_popularity
WHERE product_id = $1;

-- name: forget_days
-- Totals stay what they are: the sum of the daily rows and of what is forgotten.
WITH gone AS (
    DELETE FROM product_popularity_daily WHERE day < $1
    RETURNING product_id, score, view_count, purchase_count, favorite_count, cart_count, review_count
)
INSERT INTO product_popularity_forgotten AS f
    (product_id, score, view_count, purchase_count, favorite_count, cart_count, review_count)
SELECT product_id, sum(score), sum(view_count), sum(purchase_count), sum(favorite_count), sum(cart_count),
       sum(review_count)
FROM gone GROUP BY product_id ORDER BY product_id
ON CONFLICT (product_id) DO UPDATE SET
    score          = f.score + excluded.score,
    view_count     = f.view_count + excluded.view_count,
    purchase_count = f.purchase_count + excluded.purchase_count,
    favorite_count = f.favorite_count + excluded.favorite_count,
    cart_count     = f.cart_count + excluded.cart_count,
    review_count   = f.review_count + excluded.review_count;

-- name: is_noting
-- The table's lock is taken before this statement's snapshot: who waited for a rebuild to begin sees it.
SELECT noting FROM popularity_state;

-- name: note_applied
INSERT INTO rebuild_seen (event_id) SELECT unnest($1::uuid[]);
