-- name: tick
UPDATE catalog_clock SET moment = greatest(clock_timestamp(), moment + interval '1 microsecond') RETURNING moment;

-- name: put_items
-- $1: an array of items as JSON; $2: the moment. What is the same already is left as it is, its moment too.
-- Prices are compared as text: 12.5 and 12.50 are equal, and not the same.
INSERT INTO item AS i
    (item_id, title, description, category, subcategory, tags, price, currency, created_at, is_active, in_stock,
     changed_at)
SELECT n.item_id, n.title, n.description, n.category, n.subcategory, n.tags, n.price, n.currency,
       coalesce(n.created_at, known.created_at, $2), n.is_active, n.in_stock, $2
FROM json_to_recordset($1::json) AS n (
    item_id text, title text, description text, category text, subcategory text, tags text[], price numeric,
    currency text, created_at timestamptz, is_active boolean, in_stock boolean)
LEFT JOIN item AS known ON known.item_id = n.item_id
ON CONFLICT (item_id) DO UPDATE SET
    title       = excluded.title,
    description = excluded.description,
    category    = excluded.category,
    subcategory = excluded.subcategory,
    tags        = excluded.tags,
    price       = excluded.price,
    currency    = excluded.currency,
    created_at  = excluded.created_at,
    is_active   = excluded.is_active,
    in_stock    = excluded.in_stock,
    changed_at  = excluded.changed_at,
    deleted_at  = NULL
WHERE (i.title, i.description, i.category, i.subcategory, i.tags, i.price::text, i.currency, i.created_at,
       i.is_active, i.in_stock, i.deleted_at)
   IS DISTINCT FROM
      (excluded.title, excluded.description, excluded.category, excluded.subcategory, excluded.tags,
       excluded.price::text, excluded.currency, excluded.created_at, excluded.is_active, excluded.in_stock,
       NULL::timestamptz);

-- name: delete_item
-- Whether the item is known. One that is deleted already keeps its moment.
WITH gone AS (
    UPDATE item SET is_active = false, deleted_at = $2, changed_at = $2 WHERE item_id = $1 AND deleted_at IS NULL
)
SELECT EXISTS (SELECT FROM item WHERE item_id = $1);

-- name: item
SELECT item_id, title, description, category, subcategory, tags, price, currency, created_at, is_active, in_stock,
       changed_at, deleted_at
FROM item
WHERE item_id = $1;

-- name: items_by_id
SELECT item_id, title, description, category, subcategory, tags, price, currency, created_at, is_active, in_stock,
       changed_at, deleted_at
FROM item
WHERE item_id > $1
ORDER BY item_id
LIMIT $2;

-- name: changed_items
SELECT item_id, title, description, category, subcategory, tags, price, currency, created_at, is_active, in_stock,
       changed_at, deleted_at
FROM item
WHERE (changed_at, item_id) > ($1, $2)
ORDER BY changed_at, item_id
LIMIT $3;

-- name: changed_items_of_category
SELECT item_id, title, description, category, subcategory, tags, price, currency, created_at, is_active, in_stock,
       changed_at, deleted_at
FROM item
WHERE category = $4 AND (changed_at, item_id) > ($1, $2)
ORDER BY changed_at, item_id
LIMIT $3;

-- name: put_profiles
-- $1: an array of profiles as JSON. In order, so that two transactions never deadlock.
INSERT INTO account_profile AS p
    (account_id, preferred_categories, language, country, created_at, changed_at)
SELECT n.account_id, n.preferred_categories, n.language, n.country, coalesce(n.created_at, known.created_at, now()),
       now()
FROM json_to_recordset($1::json) AS n (
    account_id text, preferred_categories text[], language text, country text, created_at timestamptz)
LEFT JOIN account_profile AS known ON known.account_id = n.account_id
ORDER BY n.account_id COLLATE "C"
ON CONFLICT (account_id) DO UPDATE SET
    preferred_categories = excluded.preferred_categories,
    language             = excluded.language,
    country              = excluded.country,
    created_at           = excluded.created_at,
    changed_at           = excluded.changed_at,
    deleted_at           = NULL
WHERE (p.preferred_categories, p.language, p.country, p.created_at, p.deleted_at)
   IS DISTINCT FROM
      (excluded.preferred_categories, excluded.language, excluded.country, excluded.created_at, NULL::timestamptz);

-- name: delete_profile
-- Whether the profile is known. One that is deleted already keeps its moment.
WITH gone AS (
    UPDATE account_profile SET deleted_at = now(), changed_at = now() WHERE account_id = $1 AND deleted_at IS NULL
)
SELECT EXISTS (SELECT FROM account_profile WHERE account_id = $1);

-- name: profile
SELECT account_id, preferred_categories, language, country, created_at, changed_at, deleted_at
FROM account_profile
WHERE account_id = $1;

-- name: profiles_by_id
SELECT account_id, preferred_categories, language, country, created_at, changed_at, deleted_at
FROM account_profile
WHERE account_id > $1 AND deleted_at IS NULL
ORDER BY account_id
LIMIT $2;
