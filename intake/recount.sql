-- name: note_logged
INSERT INTO rebuild_logged (intake_id) SELECT intake_id FROM intake_log;

-- name: marked_rows
-- $1 fan-out: rows that it has marked and that are not released; whether it was given up for them.
SELECT l.duplicate_ids, l.events,
       EXISTS (SELECT FROM discarded d WHERE d.intake_id = l.intake_id AND d.fan_out = $1) AS discarded
FROM intake_log l
WHERE EXISTS (SELECT FROM applied a WHERE a.intake_id = l.intake_id AND a.fan_out = $1)
ORDER BY l.intake_id;

-- name: left_out
-- $1 fan-out, $2 event ids: those that it does without.
SELECT event_id FROM quarantine WHERE fan_out = $1 AND event_id = ANY ($2::uuid[])
UNION ALL
SELECT event_id FROM discarded_event WHERE fan_out = $1 AND event_id = ANY ($2::uuid[]);

-- name: not_before
-- $1 fan-out, $2 event ids, $3 intake ids whose events the caller has. One statement, so one moment: which of the
-- events were applied after the rebuild's moment or are not to be, and all rows that are not applied yet.
SELECT event_id, NULL::uuid AS intake_id, NULL::uuid[] AS duplicate_ids, NULL::bytea AS events
FROM rebuild_seen WHERE event_id = ANY ($2::uuid[])
UNION ALL
SELECT event_id, NULL, NULL, NULL FROM quarantine WHERE fan_out = $1 AND event_id = ANY ($2::uuid[])
UNION ALL
SELECT event_id, NULL, NULL, NULL FROM discarded_event WHERE fan_out = $1 AND event_id = ANY ($2::uuid[])
UNION ALL
SELECT NULL, intake_id, duplicate_ids, CASE WHEN intake_id = ANY ($3::uuid[]) THEN NULL ELSE events END
FROM intake_log l
WHERE NOT EXISTS (SELECT FROM applied a WHERE a.intake_id = l.intake_id AND a.fan_out = $1);

-- name: clear_ledger_faults
DELETE FROM rebuild_ledger;

-- name: find_in_no_block
-- $1 fan-out that writes blocks; $2, $3 days that blocks were read of; $4 an intake id: rows before it were committed
-- long before the rebuild's moment. Those that were not in the log then had been released, so their blocks are there.
INSERT INTO rebuild_ledger (event_id, day, fault)
SELECT e.event_id, min(e.day), 'in no block'
FROM event_ledger e
WHERE e.day BETWEEN $2 AND $3 AND e.intake_id < $4
  AND NOT EXISTS (SELECT FROM rebuild_found f WHERE f.event_id = e.event_id)
  AND NOT EXISTS (SELECT FROM rebuild_logged l WHERE l.intake_id = e.intake_id)
  AND NOT EXISTS (SELECT FROM discarded d WHERE d.intake_id = e.intake_id AND d.fan_out = $1)
  AND NOT EXISTS (SELECT FROM discarded_event x WHERE x.event_id = e.event_id AND x.fan_out = $1)
  AND NOT EXISTS (SELECT FROM quarantine q WHERE q.event_id = e.event_id AND q.fan_out = $1)
GROUP BY e.event_id;

-- name: find_unknown
-- $1, $2 days whose ids the ledger has to know.
INSERT INTO rebuild_ledger (event_id, day, fault)
SELECT f.event_id, min(f.day), 'unknown to the ledger'
FROM rebuild_found f
WHERE f.day BETWEEN $1 AND $2 AND NOT EXISTS (SELECT FROM event_ledger e WHERE e.event_id = f.event_id)
GROUP BY f.event_id;

-- name: count_ledger_faults
SELECT count(*) FILTER (WHERE fault = 'in no block') AS in_no_block,
       count(*) FILTER (WHERE fault = 'unknown to the ledger') AS unknown
FROM rebuild_ledger;

-- name: ledger_faults
-- $1 after this id, $2 how many.
SELECT event_id, day, fault FROM rebuild_ledger WHERE event_id > $1 ORDER BY event_id LIMIT $2;

-- name: file_unknown
-- $1 an intake id: of no row, but with the time of acceptance that the ledger goes by.
INSERT INTO event_ledger (day, event_id, intake_id)
SELECT day, event_id, $1 FROM rebuild_ledger WHERE fault = 'unknown to the ledger' ORDER BY day, event_id
ON CONFLICT DO NOTHING;

-- name: forget_in_no_block
DELETE FROM event_ledger e USING rebuild_ledger r WHERE r.fault = 'in no block' AND e.event_id = r.event_id;
