-- name: append_dated
-- `append` where the day of every event is certain, so that nothing has to be looked for in other days: the common case,
-- at a fraction of the cost, since no partition but those written to is opened. Parameters as $1 to $6 there.
WITH inserted AS (
    INSERT INTO event_ledger (day, event_id, intake_id)
    SELECT s.day, s.event_id, $1 FROM unnest($5::date[], $6::uuid[]) AS s (day, event_id) ORDER BY s.day, s.event_id
    ON CONFLICT DO NOTHING
    RETURNING day, event_id
), known AS (
    SELECT coalesce(array_agg(DISTINCT s.event_id), '{}') AS ids
    FROM unnest($5::date[], $6::uuid[]) AS s (day, event_id)
    WHERE (s.day, s.event_id) NOT IN (SELECT day, event_id FROM inserted)
), logged AS (
    INSERT INTO intake_log (intake_id, batch_id, accepted_at, event_count, duplicate_ids, events)
    SELECT $1, $2, now(), $4 - cardinality(known.ids), known.ids, $3 FROM known
    WHERE cardinality(known.ids) < $4
)
SELECT ids FROM known;

-- name: append
-- One group commit. $1 intake id, $2 batch id, $3 events, $4 their number; $5, $6 days and ids of the events
-- whose day is certain, one at the window's edge or sent with its own id twice; $7 ids of the events that carry no time of their own;
-- $8, $9, $10 the day that late events share, and their own days and ids.
--
-- A late event may have come when it was not late yet, so the ledger is asked about its own day too.
--
-- Events without a time are known by the day they arrive, and may have arrived yesterday, so the ledger is asked about
-- yesterday too. A statement that began before midnight may still be under way then and can't be seen: for five
-- minutes after midnight (statements end sooner) such an id is written under both days, so that one of the two
-- statements meets the other's row and waits for it.
WITH moment AS (
    SELECT (now() AT TIME ZONE 'UTC')::date AS today,
           (now() AT TIME ZONE 'UTC')::time < '00:05' AS just_past_midnight
), sent AS (
    SELECT s.day, s.event_id FROM unnest($5::date[], $6::uuid[]) AS s (day, event_id)
    UNION ALL
    SELECT d.day, u.event_id
    FROM unnest($7::uuid[]) AS u (event_id)
    CROSS JOIN (SELECT today AS day FROM moment
                UNION ALL SELECT today - 1 FROM moment WHERE just_past_midnight) AS d
    WHERE NOT EXISTS (
        SELECT FROM event_ledger y
        WHERE y.day = (now() AT TIME ZONE 'UTC')::date - 1 AND y.event_id = u.event_id)
    UNION ALL
    SELECT $8::date, l.event_id
    FROM unnest($9::date[], $10::uuid[]) AS l (day, event_id)
    WHERE NOT EXISTS (SELECT FROM event_ledger o WHERE o.day = l.day AND o.event_id = l.event_id)
), inserted AS (
    INSERT INTO event_ledger (day, event_id, intake_id)
    SELECT day, event_id, $1 FROM sent ORDER BY day, event_id  -- in order: two appends never deadlock
    ON CONFLICT DO NOTHING
    RETURNING day, event_id
), known AS (
    SELECT coalesce(array_agg(DISTINCT event_id), '{}') AS ids FROM (
        SELECT event_id FROM sent WHERE (day, event_id) NOT IN (SELECT day, event_id FROM inserted)
        UNION ALL
        SELECT u.event_id FROM unnest($7::uuid[] || $10::uuid[]) AS u (event_id)
        WHERE u.event_id NOT IN (SELECT event_id FROM sent)
    ) AS not_inserted
), logged AS (
    INSERT INTO intake_log (intake_id, batch_id, accepted_at, event_count, duplicate_ids, events)
    SELECT $1, $2, now(), $4 - cardinality(known.ids), known.ids, $3 FROM known
    WHERE cardinality(known.ids) < $4
)
SELECT ids FROM known;

-- name: read_batch
SELECT intake_id, accepted_at, duplicate_ids, events FROM intake_log WHERE batch_id = $1 ORDER BY intake_id;

-- name: mark
-- $1 fan-out, $2 intake ids: marks those still in the log that it had not applied, and returns them. The lock
-- keeps `release` from taking a row away between this and the commit of the effect. $3 to $7: the poison of the rows,
-- each with its row, its own id, account, reason, and itself as a frame; that of the rows marked now is kept.
WITH present AS (
    SELECT intake_id, batch_id FROM intake_log WHERE intake_id = ANY ($2::uuid[]) ORDER BY intake_id FOR KEY SHARE
), marked AS (
    INSERT INTO applied (intake_id, fan_out) SELECT intake_id, $1 FROM present
    ON CONFLICT DO NOTHING
    RETURNING intake_id
), set_aside AS (
    INSERT INTO quarantine (fan_out, event_id, intake_id, batch_id, account_id, reason, interaction)
    SELECT $1, p.event_id, p.intake_id, l.batch_id, p.account_id, p.reason, p.interaction
    FROM unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::bytea[])
        AS p (intake_id, event_id, account_id, reason, interaction)
    JOIN marked USING (intake_id) JOIN present l USING (intake_id)
    ON CONFLICT DO NOTHING
)
SELECT intake_id FROM marked;

-- name: marked
-- $1 fan-out, $2 intake ids: those that it has applied already, or that are gone because all have.
SELECT i.intake_id FROM unnest($2::uuid[]) AS i (intake_id)
WHERE EXISTS (SELECT FROM applied a WHERE a.intake_id = i.intake_id AND a.fan_out = $1)
   OR NOT EXISTS (SELECT FROM intake_log l WHERE l.intake_id = i.intake_id);

-- name: release
-- $1 batch id, $2 its fan-outs: rows that all of these have applied go, and their marks with them.
WITH ready AS (
    SELECT l.intake_id, l.event_count FROM intake_log l
    WHERE l.batch_id = $1
      AND (SELECT count(*) FROM applied a WHERE a.intake_id = l.intake_id AND a.fan_out = ANY ($2::text[]))
          = cardinality($2::text[])
    ORDER BY l.intake_id
    FOR UPDATE
), gone AS (
    DELETE FROM intake_log l USING ready r WHERE l.intake_id = r.intake_id
), unmarked AS (
    DELETE FROM applied a USING ready r WHERE a.intake_id = r.intake_id
), unparked AS (
    DELETE FROM parked WHERE batch_id = $1 AND EXISTS (SELECT FROM ready)
), ended AS (
    INSERT INTO batch_end (batch_id, event_count)
    SELECT $1, sum(event_count) FROM ready HAVING count(*) > 0
    ON CONFLICT (batch_id) DO UPDATE
    SET event_count = batch_end.event_count + excluded.event_count, ended_at = excluded.ended_at
), told AS (
    SELECT pg_notify('footfall_released', $1::text) WHERE EXISTS (SELECT FROM ready)
)
SELECT (SELECT count(*) FROM ready) AS released_rows,
       (SELECT count(*) FROM intake_log WHERE batch_id = $1) - (SELECT count(*) FROM ready) AS remaining_rows,
       (SELECT count(*) FROM told) AS told;

-- name: park
-- Not where the batch's rows were moved into another one meanwhile: nothing of it waits for an operator then.
INSERT INTO parked (batch_id, fan_out, reason)
SELECT $1, $2, $3 WHERE EXISTS (SELECT FROM intake_log WHERE batch_id = $1)
ON CONFLICT (batch_id, fan_out) DO UPDATE SET reason = excluded.reason, parked_at = excluded.parked_at;

-- name: unpark
DELETE FROM parked WHERE batch_id = $1 AND fan_out = $2;

-- name: discard
-- $1 batch id, $2 fan-out, $3 reason; $4, $5 rows and ids of the interactions that can be read. A row that is marked
-- has been applied: it is not discarded.
WITH present AS (
    SELECT intake_id, event_count FROM intake_log WHERE batch_id = $1 ORDER BY intake_id FOR KEY SHARE
), marked AS (
    INSERT INTO applied (intake_id, fan_out) SELECT intake_id, $2 FROM present
    ON CONFLICT DO NOTHING
    RETURNING intake_id
), unparked AS (
    DELETE FROM parked WHERE batch_id = $1 AND fan_out = $2
), left_out AS (
    INSERT INTO discarded_event (fan_out, event_id, reason)
    SELECT $2, e.event_id, $3
    FROM unnest($4::uuid[], $5::uuid[]) AS e (intake_id, event_id) JOIN marked USING (intake_id)
    ON CONFLICT DO NOTHING
)
INSERT INTO discarded (intake_id, fan_out, batch_id, event_count, reason)
SELECT intake_id, $2, $1, event_count, $3 FROM present JOIN marked USING (intake_id);

-- name: backlog
SELECT coalesce(sum(event_count), 0)::bigint AS events, min(accepted_at) AS oldest FROM intake_log;

-- name: stale_batches
-- $1 age: batches with a row older than that, the oldest first.
SELECT batch_id, sum(event_count)::bigint AS events
FROM intake_log
WHERE batch_id IN (SELECT batch_id FROM intake_log WHERE accepted_at < now() - $1::interval)
GROUP BY batch_id ORDER BY min(accepted_at);

-- name: move_batches
-- $1 batch ids, $2 the batch that takes over their rows.
WITH moved AS (
    UPDATE intake_log SET batch_id = $2 WHERE batch_id = ANY ($1::uuid[]) RETURNING event_count
), ended AS (
    INSERT INTO batch_end (batch_id, event_count, moved_to)
    SELECT b, 0, $2 FROM unnest($1::uuid[]) AS b WHERE EXISTS (SELECT FROM moved)
    ON CONFLICT (batch_id) DO UPDATE SET moved_to = excluded.moved_to, ended_at = excluded.ended_at
), unparked AS (
    DELETE FROM parked WHERE batch_id = ANY ($1::uuid[])
)
SELECT coalesce(sum(event_count), 0)::bigint FROM moved;

-- name: try_sweep_lock
SELECT pg_try_advisory_xact_lock(hashtextextended('footfall sweeper', 0));

-- name: make_ledger_partition
SELECT make_range_partition('event_ledger', $1, $2, $3);

-- name: ledger_partitions
SELECT c.relname::text AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'event_ledger'::regclass;

-- name: drop_partition
SELECT drop_range_partition($1);

-- name: forget_late_events
-- $1 the smallest intake id to keep: ids are UUIDv7 and hold the time of acceptance.
DELETE FROM event_ledger WHERE day < '2000-01-01' AND intake_id < $1;

-- name: age
-- How long ago this database was set up.
SELECT now() - min(applied_at) FROM schema_migration;

-- name: forget_batches
DELETE FROM batch_end WHERE ended_at < now() - $1::interval;

-- name: event_receipt
-- $1 event id: the intake row that brought it, and what is left to do for that row.
SELECT e.intake_id, l.batch_id, l.accepted_at, l.intake_id IS NULL AS released,
       ARRAY (SELECT a.fan_out FROM applied a WHERE a.intake_id = e.intake_id) AS applied,
       (SELECT jsonb_object_agg(d.fan_out, d.reason)::text FROM (
            SELECT fan_out, reason FROM discarded WHERE intake_id = e.intake_id
            UNION ALL
            SELECT fan_out, reason FROM discarded_event WHERE event_id = e.event_id) AS d) AS discarded,
       (SELECT jsonb_object_agg(q.fan_out, q.reason)::text FROM quarantine q WHERE q.event_id = e.event_id) AS quarantined
FROM event_ledger e LEFT JOIN intake_log l USING (intake_id)
WHERE e.event_id = $1
ORDER BY e.intake_id LIMIT 1;

-- name: batch_receipt
-- $1 batch id: its rows that are left, and for each fan-out how many of these it has applied.
SELECT (SELECT count(*) FROM intake_log WHERE batch_id = $1) AS rows_left,
       (SELECT sum(event_count)::bigint FROM intake_log WHERE batch_id = $1) AS events_left,
       (SELECT min(accepted_at) FROM intake_log WHERE batch_id = $1) AS accepted_at,
       (SELECT jsonb_object_agg(fan_out, row_count)::text FROM (
            SELECT a.fan_out, count(*) AS row_count FROM applied a JOIN intake_log l USING (intake_id)
            WHERE l.batch_id = $1 GROUP BY a.fan_out) AS per_fan_out) AS applied,
       (SELECT jsonb_object_agg(fan_out, reason)::text FROM (
            SELECT fan_out, max(reason) AS reason FROM discarded WHERE batch_id = $1 GROUP BY fan_out) AS given_up
       ) AS discarded,
       (SELECT jsonb_object_agg(fan_out, number)::text FROM (
            SELECT fan_out, count(*) AS number FROM quarantine WHERE batch_id = $1 GROUP BY fan_out) AS set_aside
       ) AS quarantined,
       b.event_count AS events_released, b.moved_to, b.ended_at
FROM (SELECT) AS one LEFT JOIN batch_end b ON b.batch_id = $1;

-- name: parked
SELECT fan_out, reason, parked_at FROM parked WHERE batch_id = $1;
