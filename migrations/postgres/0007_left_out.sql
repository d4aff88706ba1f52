-- Interactions that a fan-out does without, one by one; their intake rows are marked as applied all the same.

-- Poison: the fan-out can apply the rest of the batch, not these. Kept until an operator retries or drops them.
CREATE TABLE quarantine (
    fan_out        text NOT NULL,
    event_id       uuid NOT NULL,
    intake_id      uuid NOT NULL,
    batch_id       uuid NOT NULL,
    account_id     text NOT NULL,
    reason         text NOT NULL,
    interaction    bytea NOT NULL,  -- a frame of the intake log that holds this one
    quarantined_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (event_id, fan_out)
);
CREATE INDEX quarantine_batch ON quarantine (batch_id);

-- Given up for good: of batches that were discarded, and dropped from quarantine. A recount leaves these out.
CREATE TABLE discarded_event (
    fan_out      text NOT NULL,
    event_id     uuid NOT NULL,
    reason       text NOT NULL,
    discarded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (event_id, fan_out)
);
