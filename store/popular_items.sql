-- name: popular_items
-- The most popular items with what the catalog says of them; nothing is said of those that nobody described.
SELECT p.product_id AS item_id, p.score, i.category, coalesce(i.is_active, true) AS is_active,
       coalesce(i.in_stock, true) AS in_stock
FROM (SELECT product_id, score FROM product_popularity ORDER BY score DESC, product_id LIMIT $1) AS p
LEFT JOIN item i ON i.item_id = p.product_id
ORDER BY p.score DESC, p.product_id;

-- name: popular_items_of_category
-- $2 the category: as above, within it.
SELECT p.product_id AS item_id, p.score, i.category, i.is_active, i.in_stock
FROM item i JOIN product_popularity p ON p.product_id = i.item_id
WHERE i.category = $2
ORDER BY p.score DESC, p.product_id
LIMIT $1;

-- name: category_of
SELECT category FROM item WHERE item_id = $1;

-- name: not_shown
-- $1 item ids: those that the catalog has as inactive, or of categories $2.
SELECT item_id FROM item
WHERE item_id = ANY ($1::text[]) AND (NOT is_active OR category = ANY ($2::text[]));
