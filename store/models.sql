-- name: register
INSERT INTO model (version, state, location, fingerprint, metrics) VALUES ($1, 'candidate', $2, $3, $4)
ON CONFLICT (version) DO NOTHING;

-- name: refuse
UPDATE model SET state = 'refused', reason = $2 WHERE version = $1 AND state = 'candidate';

-- name: retire_current
UPDATE model SET state = 'retired' WHERE state = 'current' AND version <> $1;

-- name: activate
-- Whatever was refused or retired may be switched to as well: by hand, or when the current one is taken back.
UPDATE model SET state = 'current', activated_at = now(), reason = $2
WHERE version = $1 AND state <> 'current' AND location <> ''
RETURNING version;

-- name: current
SELECT version, state, location, fingerprint, metrics, reason, trained_at, activated_at FROM model
WHERE state = 'current';

-- name: served
-- The current one, and those that arms of running experiments name.
SELECT version, state, location, fingerprint, metrics, reason, trained_at, activated_at FROM model
WHERE state = 'current' OR version IN (
    SELECT arm ->> 'model' FROM experiment, jsonb_array_elements(plan -> 'arms') AS arm
    WHERE started_at IS NOT NULL AND stopped_at IS NULL)
ORDER BY state <> 'current', version;

-- name: known
SELECT version FROM model WHERE version = ANY ($1::text[]) AND location <> '';

-- name: one
SELECT version, state, location, fingerprint, metrics, reason, trained_at, activated_at FROM model
WHERE version = $1;

-- name: newest
SELECT version, state, location, fingerprint, metrics, reason, trained_at, activated_at FROM model
ORDER BY trained_at DESC LIMIT $1;

-- name: before
-- The one that answered before the current one.
SELECT version, state, location, fingerprint, metrics, reason, trained_at, activated_at FROM model
WHERE state <> 'current' AND activated_at IS NOT NULL AND location <> ''
ORDER BY activated_at DESC LIMIT 1;

-- name: give_up
-- The files of all but: the current model, the one before it, the $1 newest, and those of experiments that have not ended.
UPDATE model SET location = ''
WHERE location <> '' AND state <> 'current' AND version NOT IN (
    (SELECT version FROM model WHERE location <> '' ORDER BY trained_at DESC LIMIT $1)
    UNION ALL
    (SELECT version FROM model WHERE state <> 'current' AND activated_at IS NOT NULL AND location <> ''
     ORDER BY activated_at DESC LIMIT 1)
    UNION ALL
    (SELECT arm ->> 'model' FROM experiment, jsonb_array_elements(plan -> 'arms') AS arm
     WHERE stopped_at IS NULL AND arm ->> 'model' IS NOT NULL)
)
RETURNING version;

-- name: files
SELECT version, location <> '' AS there FROM model;
