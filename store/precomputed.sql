-- name: write
INSERT INTO precomputed_recommendation (account_id, model_version, items, last_action_at, computed_at, expires_at)
SELECT u.*, $5::timestamptz, $6::timestamptz
FROM unnest($1::text[], $2::text[], $3::bytea[], $4::timestamptz[]) AS u ORDER BY 1
ON CONFLICT (account_id) DO UPDATE SET
    model_version = excluded.model_version, items = excluded.items, last_action_at = excluded.last_action_at,
    computed_at = excluded.computed_at, expires_at = excluded.expires_at;

-- name: read
SELECT model_version, items, last_action_at, computed_at FROM precomputed_recommendation
WHERE account_id = $1 AND expires_at > now();

-- name: forget
DELETE FROM precomputed_recommendation WHERE expires_at < now();
