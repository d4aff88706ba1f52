-- name: create
INSERT INTO experiment (name, plan) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING created_at;

-- name: lock
-- Two that start at the same time would not see each other.
LOCK TABLE experiment IN SHARE ROW EXCLUSIVE MODE;

-- name: start
UPDATE experiment SET started_at = clock_timestamp(), rollout = $2 WHERE name = $1;

-- name: roll_out
UPDATE experiment SET rollout = $2 WHERE name = $1;

-- name: stop
UPDATE experiment SET stopped_at = clock_timestamp() WHERE name = $1;

-- name: of_name
SELECT plan, rollout, created_at, started_at, stopped_at FROM experiment WHERE name = $1;

-- name: newest
-- $1 how many; $2, $3 the last one of the page before, null for the first page; $4 a state or null.
SELECT plan, rollout, created_at, started_at, stopped_at FROM experiment
WHERE ($2::timestamptz IS NULL OR created_at < $2 OR (created_at = $2 AND name > $3))
  AND ($4::text IS NULL OR $4 = CASE WHEN started_at IS NULL THEN 'draft' WHEN stopped_at IS NULL THEN 'running'
                                     ELSE 'stopped' END)
ORDER BY created_at DESC, name
LIMIT $1;

-- name: running
SELECT plan, rollout, created_at, started_at, stopped_at FROM experiment
WHERE started_at IS NOT NULL AND stopped_at IS NULL
ORDER BY started_at, name;

-- name: counted
-- $1 for how long after its end an experiment still counts what comes late.
SELECT plan, rollout, created_at, started_at, stopped_at FROM experiment
WHERE started_at IS NOT NULL AND (stopped_at IS NULL OR stopped_at > now() - $1::interval)
ORDER BY started_at, name;

-- name: lock_accounts
-- $1 accounts, $2 experiments, $3 arms, in the one order that every caller keeps to. Rows are made where they are
-- missing, and all are locked: a condition that no row fulfils locks and changes nothing.
INSERT INTO experiment_account AS a (account_id, experiment, arm)
SELECT k.account_id, k.experiment, k.arm FROM unnest($1::text[], $2::text[], $3::text[]) AS k (account_id, experiment, arm)
ON CONFLICT (account_id, experiment) DO UPDATE SET arm = a.arm WHERE false;

-- name: accounts
SELECT a.account_id, a.experiment, a.exposed_at, a.answers, a.clicks, a.purchases, a.revenue, a.waiting
FROM unnest($1::text[], $2::text[]) AS k (account_id, experiment) JOIN experiment_account a USING (account_id, experiment);

-- name: of_account
SELECT experiment, arm, exposed_at, answers, clicks, purchases, revenue FROM experiment_account
WHERE account_id = $1 ORDER BY experiment;

-- name: write_accounts
UPDATE experiment_account AS a
SET exposed_at = k.exposed_at, answers = k.answers, clicks = k.clicks, purchases = k.purchases, revenue = k.revenue,
    waiting = k.waiting, waiting_since = CASE WHEN k.exposed_at IS NULL THEN now() END
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::integer[], $5::integer[], $6::integer[], $7::numeric[],
            $8::bytea[]) AS k (account_id, experiment, exposed_at, answers, clicks, purchases, revenue, waiting)
WHERE a.account_id = k.account_id AND a.experiment = k.experiment;

-- name: add_days
-- Rows in order, so that two transactions never deadlock.
INSERT INTO experiment_day AS d
    (experiment, day, arm, accounts, answers, clicks, converted, purchases, unpriced, revenue,
     attributed_purchases, attributed_revenue, answers_squared, clicks_squared, answers_clicks, revenue_squared,
     misassigned, fallbacks)
SELECT * FROM unnest($1::text[], $2::date[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                     $8::bigint[], $9::bigint[], $10::numeric[], $11::bigint[], $12::numeric[], $13::numeric[],
                     $14::numeric[], $15::numeric[], $16::numeric[], $17::bigint[], $18::bigint[])
ON CONFLICT (experiment, day, arm) DO UPDATE SET
    accounts             = d.accounts + excluded.accounts,
    answers              = d.answers + excluded.answers,
    clicks               = d.clicks + excluded.clicks,
    converted            = d.converted + excluded.converted,
    purchases            = d.purchases + excluded.purchases,
    unpriced             = d.unpriced + excluded.unpriced,
    revenue              = d.revenue + excluded.revenue,
    attributed_purchases = d.attributed_purchases + excluded.attributed_purchases,
    attributed_revenue   = d.attributed_revenue + excluded.attributed_revenue,
    answers_squared      = d.answers_squared + excluded.answers_squared,
    clicks_squared       = d.clicks_squared + excluded.clicks_squared,
    answers_clicks       = d.answers_clicks + excluded.answers_clicks,
    revenue_squared      = d.revenue_squared + excluded.revenue_squared,
    misassigned          = d.misassigned + excluded.misassigned,
    fallbacks            = d.fallbacks + excluded.fallbacks;

-- name: days
SELECT day, arm, accounts, answers, clicks, converted, purchases, unpriced, revenue, attributed_purchases,
       attributed_revenue, answers_squared, clicks_squared, answers_clicks, revenue_squared, misassigned, fallbacks
FROM experiment_day WHERE experiment = $1 ORDER BY day, arm;

-- name: forget_waiting
-- $1 how long outcomes wait for their account's first answer.
DELETE FROM experiment_account WHERE waiting_since < now() - $1::interval;

-- name: forget_accounts
-- $1 for how long after its end an experiment still counts. The sums of its arms stay.
DELETE FROM experiment_account a USING experiment e
WHERE a.experiment = e.name AND e.stopped_at < now() - $1::interval;
