-- name: write
INSERT INTO interaction_block (account_id, week, block_id, event_count, data)
SELECT * FROM unnest($1::text[], $2::int[], $3::uuid[], $4::int[], $5::bytea[])
ON CONFLICT DO NOTHING;

-- name: read
SELECT account_id, week, block_id, event_count, data FROM interaction_block
WHERE account_id = $1 AND week BETWEEN $2 AND $3
ORDER BY week DESC, block_id;

-- name: make_partition
SELECT make_range_partition('interaction_block', $1, $2, $3);

-- name: partitions
SELECT c.relname::text AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'interaction_block'::regclass;

-- name: drop_partition
SELECT drop_range_partition($1);

-- name: ping
SELECT 1;
