-- name: log
SELECT intake_id, duplicate_ids, events FROM intake_log;

-- name: take_row
SELECT batch_id, accepted_at FROM intake_log WHERE intake_id = $1 FOR UPDATE;

-- name: marks
SELECT fan_out FROM applied WHERE intake_id = $1;

-- name: drop_row
-- $1 intake id.
WITH unmarked AS (DELETE FROM applied WHERE intake_id = $1)
DELETE FROM intake_log WHERE intake_id = $1;

-- name: keep_row
-- $1 erasure, $2 intake row, $3 its batch, $4 what is still to be counted of it, or null.
INSERT INTO erasure_row (erasure_id, intake_id, batch_id, events) VALUES ($1, $2, $3, $4);

-- name: uncounted_rows
SELECT intake_id, events FROM erasure_row WHERE erasure_id = $1 AND events IS NOT NULL;

-- name: note_counted
UPDATE erasure_row SET events = NULL WHERE erasure_id = $1 AND intake_id = $2;

-- name: end_if_empty
-- $1 a batch: where nothing of it is left in the log it has ended, and waits for no operator.
WITH ended AS (
    INSERT INTO batch_end (batch_id, event_count)
    SELECT $1, 0 WHERE NOT EXISTS (SELECT FROM intake_log WHERE batch_id = $1)
    ON CONFLICT DO NOTHING
), unparked AS (
    DELETE FROM parked WHERE batch_id = $1 AND NOT EXISTS (SELECT FROM intake_log WHERE batch_id = $1)
)
SELECT pg_notify('footfall_released', $1::text) WHERE NOT EXISTS (SELECT FROM intake_log WHERE batch_id = $1);

-- name: emptied_batches
SELECT DISTINCT batch_id FROM erasure_row r
WHERE erasure_id = $1 AND NOT EXISTS (SELECT FROM intake_log l WHERE l.batch_id = r.batch_id);

-- name: erased_rows
-- $1 intake rows, which a fan-out could not mark: the accounts that an erasure took out of which.
SELECT r.intake_id, e.account_id FROM erasure_row r JOIN erasure e USING (erasure_id)
WHERE r.intake_id = ANY ($1::uuid[]) AND e.account_id IS NOT NULL;

-- name: note_erased
-- $1 event ids, $2 the days on which they occurred, $3 the fan-out that writes blocks: ids that the ledger knows are in no
-- block, and rightly so. An id is filed under its day, that of its arrival by another clock, or that of all late ones.
INSERT INTO discarded_event (fan_out, event_id, reason)
SELECT DISTINCT $3, e.event_id, 'erased'
FROM unnest($1::uuid[], $2::date[]) AS u (event_id, day)
CROSS JOIN LATERAL (VALUES (u.day - 1), (u.day), (u.day + 1), ('1970-01-01'::date)) AS d (day)
JOIN event_ledger e ON e.day = d.day AND e.event_id = u.event_id
ON CONFLICT DO NOTHING;

-- name: follow_row
-- $1 event ids, $2 their days as above, $3 the row that has them now: their receipts follow it.
UPDATE event_ledger e SET intake_id = $3
FROM unnest($1::uuid[], $2::date[]) AS u (event_id, day)
CROSS JOIN LATERAL (VALUES (u.day - 1), (u.day), (u.day + 1), ('1970-01-01'::date)) AS d (day)
WHERE e.day = d.day AND e.event_id = u.event_id;

-- name: quarantined
SELECT fan_out, event_id, interaction FROM quarantine WHERE account_id = $1;

-- name: unquarantine
DELETE FROM quarantine q USING unnest($1::uuid[], $2::text[]) AS g (event_id, fan_out)
WHERE q.event_id = g.event_id AND q.fan_out = g.fan_out;
