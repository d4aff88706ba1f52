-- name: write
INSERT INTO interaction_block (account_id, week, block_id, event_count, data, sealed)
SELECT * FROM unnest($1::text[], $2::int[], $3::uuid[], $4::int[], $5::bytea[], $6::boolean[])
ON CONFLICT DO NOTHING;

-- name: read
SELECT account_id, week, block_id, event_count, data, sealed FROM interaction_block
WHERE account_id = $1 AND week BETWEEN $2 AND $3
ORDER BY week DESC, block_id;

-- name: survey
SELECT account_id, week, count(*), count(*) FILTER (WHERE sealed), sum(event_count) FROM interaction_block
WHERE (account_id, week) > ($1, $2) AND week BETWEEN $3 AND $4
GROUP BY account_id, week
HAVING count(*) > 1 OR bool_or(NOT sealed)
ORDER BY account_id, week
LIMIT $5;

-- name: accounts
SELECT DISTINCT account_id FROM interaction_block
WHERE account_id > $1 AND week BETWEEN $2 AND $3
ORDER BY account_id
LIMIT $4;

-- name: remove
DELETE FROM interaction_block b
USING unnest($1::text[], $2::int[], $3::uuid[]) AS r (account_id, week, block_id)
WHERE (b.account_id, b.week, b.block_id) = (r.account_id, r.week, r.block_id);

-- name: write_metadata
INSERT INTO block_metadata (account_id, week, event_count, byte_count, first_at, last_at)
SELECT * FROM unnest($1::text[], $2::int[], $3::int[], $4::bigint[], $5::timestamptz[], $6::timestamptz[])
ON CONFLICT (account_id, week) DO UPDATE SET
    event_count = EXCLUDED.event_count, byte_count = EXCLUDED.byte_count,
    first_at = EXCLUDED.first_at, last_at = EXCLUDED.last_at;

-- name: read_metadata
SELECT week, event_count, byte_count, first_at, last_at FROM block_metadata
WHERE account_id = $1 ORDER BY week DESC;

-- name: remove_metadata
DELETE FROM block_metadata WHERE account_id = $1 AND week = ANY ($2::int[]);

-- name: forget_metadata
DELETE FROM block_metadata WHERE week < $1;

-- name: make_partition
SELECT make_range_partition('interaction_block', $1, $2, $3);

-- name: partitions
SELECT c.relname::text AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'interaction_block'::regclass;

-- name: drop_partition
SELECT drop_range_partition($1);

-- name: ping
SELECT 1;
