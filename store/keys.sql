-- name: add
INSERT INTO api_key (key_id, name, digest, scopes, expires_at) VALUES ($1, $2, $3, $4, $5);

-- name: all
SELECT key_id, name, digest, scopes, created_at, expires_at, revoked_at, last_used_at FROM api_key
ORDER BY created_at, key_id;

-- name: revoke
-- Again it changes nothing, and finds the key all the same.
UPDATE api_key SET revoked_at = coalesce(revoked_at, now()) WHERE key_id = $1 RETURNING key_id;

-- name: used
-- To the minute: not a write for every look.
UPDATE api_key SET last_used_at = now()
WHERE key_id = ANY ($1::text[]) AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute');
