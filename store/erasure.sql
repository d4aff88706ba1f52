-- name: key
SELECT key FROM erasure_key;

-- name: ask
-- $1 id, $2 account, $3 its key, $4 whether its share is subtracted. Nothing where one was asked for and has not begun.
INSERT INTO erasure (erasure_id, account_id, account_key, subtract) VALUES ($1, $2, $3, $4)
ON CONFLICT (account_id) WHERE erased_before IS NULL DO NOTHING;

-- name: asked
SELECT * FROM erasure WHERE account_id = $1 AND erased_before IS NULL;

-- name: find
SELECT * FROM erasure WHERE erasure_id = $1;

-- name: lock
SELECT * FROM erasure WHERE erasure_id = $1 FOR UPDATE;

-- name: under_way
-- $1 for how long at least, $2 how many.
SELECT erasure_id FROM erasure WHERE done_at IS NULL AND asked_at < now() - $1::interval ORDER BY asked_at LIMIT $2;

-- name: known
SELECT account_key, max(erased_before) AS erased_before FROM erasure
WHERE account_key IS NOT NULL AND erased_before IS NOT NULL GROUP BY account_key;

-- name: fix_moment
-- $2 the newest moment of what the account did, microseconds. The first call decides.
UPDATE erasure
SET erased_before = greatest((extract(epoch FROM clock_timestamp()) * 1000000)::bigint, $2::bigint + 1)
WHERE erasure_id = $1 AND erased_before IS NULL;

-- name: start_removing
UPDATE erasure SET removing = true WHERE erasure_id = $1;

-- name: stop_removing
UPDATE erasure SET removing = false WHERE erasure_id = $1;

-- name: settle
-- $1 event ids, $2 erasure: those that nobody settled before.
INSERT INTO erasure_event (event_id, erasure_id) SELECT unnest($1::uuid[]), $2 ON CONFLICT DO NOTHING
RETURNING event_id;

-- name: remember
-- $1 days, $2 products, $3 types, $4 how many. In order, so that two transactions never deadlock.
INSERT INTO popularity_erased AS p (day, product_id, event_type, events)
SELECT * FROM unnest($1::date[], $2::text[], $3::text[], $4::bigint[])
ON CONFLICT (day, product_id, event_type) DO UPDATE SET events = p.events + excluded.events;

-- name: remembered
-- $1, $2 days, both included.
SELECT day, product_id, event_type, events FROM popularity_erased WHERE day BETWEEN $1 AND $2;

-- name: drop_empty_totals
DELETE FROM product_popularity WHERE product_id = ANY ($1::text[])
AND (score, view_count, purchase_count, favorite_count, cart_count, review_count) = (0, 0, 0, 0, 0, 0);

-- name: drop_empty_days
DELETE FROM product_popularity_daily p USING unnest($1::date[], $2::text[]) AS d (day, product_id)
WHERE p.day = d.day AND p.product_id = d.product_id
AND (score, view_count, purchase_count, favorite_count, cart_count, review_count) = (0, 0, 0, 0, 0, 0);

-- name: write_counts
UPDATE erasure SET counts = $2 WHERE erasure_id = $1;

-- name: remove_profile
-- $2 the moment: what was put after it is of who came back.
DELETE FROM account_profile WHERE account_id = $1 AND changed_at < $2 RETURNING true;

-- name: remove_precomputed
DELETE FROM precomputed_recommendation WHERE account_id = $1 RETURNING true;

-- name: remove_experiments
-- $2, $3 the moment, as microseconds and as a time. The sums of arms stay: nobody is in them.
DELETE FROM experiment_account
WHERE account_id = $1 AND (exposed_at < $2 OR (exposed_at IS NULL AND waiting_since < $3)) RETURNING true;

-- name: note_erased
UPDATE erasure SET erased_at = now() WHERE erasure_id = $1 AND erased_at IS NULL;

-- name: finish
UPDATE erasure SET done_at = now(), account_id = NULL WHERE erasure_id = $1 AND done_at IS NULL;

-- name: forget_rows
DELETE FROM erasure_row WHERE erasure_id = $1;

-- name: forget_events
DELETE FROM erasure_event WHERE erasure_id = $1;

-- name: forget_keys
-- $1 for how long something that old may still be accepted.
UPDATE erasure SET account_key = NULL
WHERE account_key IS NOT NULL AND done_at IS NOT NULL
  AND erased_before < (extract(epoch FROM now() - $1::interval) * 1000000)::bigint;

-- name: forget_days
DELETE FROM popularity_erased WHERE day < $1;

-- name: forget_receipts
-- $1 for how long the ledger may know their ids.
DELETE FROM discarded_event WHERE reason = 'erased' AND discarded_at < now() - $1::interval;
