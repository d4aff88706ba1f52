-- name: add_recent_signal
INSERT INTO recent_signal (account_id, newest_at, actions) SELECT * FROM unnest($1::text[], $2::bigint[], $3::bytea[]);

-- name: add_lasting_signal
INSERT INTO lasting_signal (account_id, newest_at, actions) SELECT * FROM unnest($1::text[], $2::bigint[], $3::bytea[]);

-- name: read_recent_signal
-- $2 from when on, $3 at most so many rows: the newest N actions are in the N rows whose newest are the newest.
SELECT actions FROM recent_signal WHERE account_id = $1 AND newest_at >= $2 ORDER BY newest_at DESC LIMIT $3;

-- name: read_lasting_signal
SELECT actions FROM lasting_signal WHERE account_id = $1 AND newest_at >= $2 ORDER BY newest_at DESC LIMIT $3;

-- name: read_both
-- $2, $3 since when and how many of the recent ones, $4, $5 of the lasting ones; as above.
(SELECT 'recent_signal' AS name, actions FROM recent_signal
 WHERE account_id = $1 AND newest_at >= $2 ORDER BY newest_at DESC LIMIT $3)
UNION ALL
(SELECT 'lasting_signal', actions FROM lasting_signal
 WHERE account_id = $1 AND newest_at >= $4 ORDER BY newest_at DESC LIMIT $5);

-- name: take_recent_signal
DELETE FROM recent_signal WHERE account_id = $1 RETURNING actions;

-- name: take_lasting_signal
DELETE FROM lasting_signal WHERE account_id = $1 RETURNING actions;

-- name: make_partition
SELECT make_range_partition($1, $2, $3, $4);

-- name: partitions
SELECT c.relname::text AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = $1::text::regclass;

-- name: drop_partition
SELECT drop_range_partition($1);

-- name: ping
SELECT 1;
