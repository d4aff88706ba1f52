-- Fan-outs that an operator gave up for intake rows: these are marked as applied, without their effect. Kept.
CREATE TABLE discarded (
    intake_id    uuid NOT NULL,
    fan_out      text NOT NULL,
    batch_id     uuid NOT NULL,
    event_count  integer NOT NULL,
    reason       text NOT NULL,
    discarded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (intake_id, fan_out)
);
CREATE INDEX discarded_batch ON discarded (batch_id);
