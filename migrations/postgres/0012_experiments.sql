-- Experiments: what each of them is, how far it is rolled out, and what the accounts in it did.

CREATE TABLE experiment (
    name       text COLLATE "C" PRIMARY KEY,
    plan       jsonb NOT NULL,               -- arms, weights and the rest; it never changes
    rollout    smallint NOT NULL DEFAULT 0 CHECK (rollout BETWEEN 0 AND 100),  -- percent of all accounts; it only grows
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,                  -- null: a draft
    stopped_at timestamptz,
    CHECK ((started_at IS NULL) = (rollout = 0)),
    CHECK (stopped_at IS NULL OR started_at IS NOT NULL)
);
CREATE INDEX experiment_created ON experiment (created_at DESC, name);

-- One account in one experiment. Its sums, squared, are part of its arm's: they change together.
CREATE TABLE experiment_account (
    account_id    text COLLATE "C" NOT NULL,
    experiment    text COLLATE "C" NOT NULL,
    arm           text COLLATE "C" NOT NULL,
    exposed_at    bigint,                    -- its first answer, µs since 1970; null: it had none yet
    answers       integer NOT NULL DEFAULT 0,
    clicks        integer NOT NULL DEFAULT 0,
    purchases     integer NOT NULL DEFAULT 0,
    revenue       numeric NOT NULL DEFAULT 0,  -- in whole millionths
    waiting       bytea,                     -- outcomes from before its first answer, should an earlier one still come
    waiting_since timestamptz DEFAULT now(), -- of those without an answer; null for others
    PRIMARY KEY (account_id, experiment)
) WITH (fillfactor = 70);  -- no index on what changes: updates stay on their page
CREATE INDEX experiment_account_waiting ON experiment_account (waiting_since) WHERE waiting_since IS NOT NULL;

-- What an arm's accounts did on a UTC day. Squares and products are of accounts' totals; they add up over the days.
CREATE TABLE experiment_day (
    experiment           text COLLATE "C" NOT NULL,
    day                  date NOT NULL,
    arm                  text COLLATE "C" NOT NULL,
    accounts             bigint NOT NULL,   -- with their first answer on that day
    answers              bigint NOT NULL,
    clicks               bigint NOT NULL,
    converted            bigint NOT NULL,   -- accounts with a first purchase
    purchases            bigint NOT NULL,
    unpriced             bigint NOT NULL,   -- of these, without an amount that counts
    revenue              numeric NOT NULL,  -- in whole millionths
    attributed_purchases bigint NOT NULL,   -- of the purchases, with the recommendation_id of an answer
    attributed_revenue   numeric NOT NULL,  -- in whole millionths
    answers_squared      numeric NOT NULL,
    clicks_squared       numeric NOT NULL,
    answers_clicks       numeric NOT NULL,
    revenue_squared      numeric NOT NULL,
    misassigned          bigint NOT NULL,   -- answers that named another arm than the account's
    fallbacks            bigint NOT NULL,   -- answers that the arm's model and rules were not behind
    PRIMARY KEY (experiment, day, arm)
) WITH (fillfactor = 70);
