-- The intake: which event ids are known, what was accepted and not yet fanned out, and what became of batches.

-- Makes a range partition where it is missing. A new partition is built beside the table and attached, which
-- holds no lock that inserts or reads would wait for.
CREATE FUNCTION make_range_partition(parent text, partition text, low text, high text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF to_regclass(partition) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', partition, parent);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, partition, low, high);
    RETURN true;
END
$$;

-- Drops a partition, or gives up soon where its parent is in use, so that nothing queues up behind the wait.
CREATE FUNCTION drop_range_partition(partition text) RETURNS void
LANGUAGE plpgsql SET lock_timeout = '2s' AS $$
BEGIN
    EXECUTE format('DROP TABLE %I', partition);
END
$$;

-- The dedup window: event ids by the UTC date of their occurred_at. Events older than the window share the one
-- day 1970-01-01, so that the daily partitions can be dropped whole.
CREATE TABLE event_ledger (
    day       date NOT NULL,
    event_id  uuid NOT NULL,
    intake_id uuid NOT NULL,
    PRIMARY KEY (day, event_id)
) PARTITION BY RANGE (day);

CREATE TABLE event_ledger_late PARTITION OF event_ledger FOR VALUES FROM (MINVALUE) TO ('2000-01-01');

-- What was accepted and is not yet in every read model: a row is one group commit. Ids are UUIDv7 made here.
CREATE TABLE intake_log (
    intake_id     uuid PRIMARY KEY,
    batch_id      uuid NOT NULL,
    accepted_at   timestamptz NOT NULL,
    event_count   integer NOT NULL,          -- without the duplicates
    duplicate_ids uuid[] NOT NULL,           -- events inside that the ledger knew already: readers skip them
    events        bytea STORAGE EXTERNAL NOT NULL  -- compressed before it comes here
);
CREATE INDEX intake_log_batch ON intake_log (batch_id);

-- Which fan-out has applied which intake row. A mark is written in the transaction of its effect.
CREATE TABLE applied (
    intake_id uuid NOT NULL,
    fan_out   text NOT NULL,
    PRIMARY KEY (intake_id, fan_out)
);

-- What became of a batch: released (all its rows applied), or moved by the sweeper into another one.
CREATE TABLE batch_end (
    batch_id    uuid PRIMARY KEY,
    ended_at    timestamptz NOT NULL DEFAULT now(),
    event_count integer NOT NULL,
    moved_to    uuid
);
CREATE INDEX batch_end_ended_at ON batch_end (ended_at);

-- Fan-outs of a batch that met a permanent fault and wait for an operator.
CREATE TABLE parked (
    batch_id  uuid NOT NULL,
    fan_out   text NOT NULL,
    reason    text NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (batch_id, fan_out)
);
