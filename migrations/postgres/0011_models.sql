-- What was trained, and what answers: rows say which model is which, its files are elsewhere.

CREATE TABLE model (
    version      text COLLATE "C" PRIMARY KEY,
    state        text NOT NULL CHECK (state IN ('candidate', 'current', 'retired', 'refused')),
    location     text NOT NULL,          -- where its files are, as fsspec understands it
    fingerprint  text NOT NULL,          -- SHA-256 of what it was trained on
    metrics      text NOT NULL,          -- JSON: name → number
    reason       text,                   -- why it was refused, or switched to by hand
    trained_at   timestamptz NOT NULL DEFAULT now(),
    activated_at timestamptz             -- when it last became current
);
CREATE UNIQUE INDEX model_current ON model (state) WHERE state = 'current';

-- The answers made ahead for accounts that are about. What is out of date is left where it is until it is written over
-- or swept: a rung that answers with it says how old it is.
CREATE TABLE precomputed_recommendation (
    account_id     text COLLATE "C" PRIMARY KEY,
    model_version  text NOT NULL,
    items          bytea NOT NULL,       -- MessagePack, best first
    last_action_at timestamptz,          -- the newest action that it knows of
    computed_at    timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL
);
CREATE INDEX precomputed_recommendation_expiry ON precomputed_recommendation (expires_at);
