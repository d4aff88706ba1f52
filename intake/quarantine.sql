-- name: find
-- $1 event ids, $2 fan-out, $3 part of the reason, $4 account, $5 batch; $6 how many at the most. Null for any.
SELECT fan_out, event_id, intake_id, batch_id, account_id, reason, quarantined_at, interaction FROM quarantine
WHERE ($1::uuid[] IS NULL OR event_id = ANY ($1)) AND ($2::text IS NULL OR fan_out = $2)
  AND ($3::text IS NULL OR strpos(lower(reason), lower($3)) > 0) AND ($4::text IS NULL OR account_id = $4)
  AND ($5::uuid IS NULL OR batch_id = $5)
ORDER BY quarantined_at, event_id
LIMIT $6;

-- name: count
SELECT fan_out, count(*) FROM quarantine GROUP BY fan_out;

-- name: take
-- $1 to $5 as above.
DELETE FROM quarantine
WHERE ($1::uuid[] IS NULL OR event_id = ANY ($1)) AND ($2::text IS NULL OR fan_out = $2)
  AND ($3::text IS NULL OR strpos(lower(reason), lower($3)) > 0) AND ($4::text IS NULL OR account_id = $4)
  AND ($5::uuid IS NULL OR batch_id = $5)
RETURNING fan_out, event_id, intake_id, batch_id, account_id, reason, quarantined_at, interaction;

-- name: give_up
-- $1 event ids, $2 their fan-outs, $3 why.
INSERT INTO discarded_event (fan_out, event_id, reason)
SELECT fan_out, event_id, $3 FROM unnest($1::uuid[], $2::text[]) AS g (event_id, fan_out)
ON CONFLICT DO NOTHING;

-- name: log_again
-- $1 intake id, $2 batch, $3 accepted_at, $4 number, $5 frame; $6 the fan-outs that have them; $7 event ids, whose
-- receipts follow the new row.
WITH logged AS (
    INSERT INTO intake_log (intake_id, batch_id, accepted_at, event_count, duplicate_ids, events)
    VALUES ($1, $2, $3, $4, '{}', $5)
), marked AS (
    INSERT INTO applied (intake_id, fan_out) SELECT $1, unnest($6::text[])
)
UPDATE event_ledger SET intake_id = $1 WHERE event_id = ANY ($7::uuid[]);
