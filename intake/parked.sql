-- name: find
-- $1 batch ids, $2 fan-out, $3 parked since, $4 parked before, $5 part of the reason; each null for any.
SELECT p.batch_id, p.fan_out, p.reason, p.parked_at, sum(l.event_count)::bigint, min(l.accepted_at)
FROM parked p JOIN intake_log l USING (batch_id)
WHERE ($1::uuid[] IS NULL OR p.batch_id = ANY ($1)) AND ($2::text IS NULL OR p.fan_out = $2)
  AND ($3::timestamptz IS NULL OR p.parked_at >= $3) AND ($4::timestamptz IS NULL OR p.parked_at < $4)
  AND ($5::text IS NULL OR strpos(lower(p.reason), lower($5)) > 0)
GROUP BY p.batch_id, p.fan_out
ORDER BY p.parked_at, p.batch_id, p.fan_out;

-- name: count
SELECT fan_out, count(*) FROM parked GROUP BY fan_out;

-- name: left
SELECT DISTINCT batch_id FROM intake_log WHERE batch_id = ANY ($1::uuid[]);
