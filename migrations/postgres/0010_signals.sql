-- Signals: what accounts did of late, and what says for longer what not to recommend to them. A row is what one account
-- did in one batch, or the newest of it; rows are added and never changed, and partitions are dropped whole.
-- Times are microseconds since the Unix epoch. A partition of recent_signal holds a week, one of lasting_signal eight.

CREATE TABLE recent_signal (
    account_id text COLLATE "C" NOT NULL,
    newest_at  bigint NOT NULL,   -- of the actions inside
    actions    bytea NOT NULL     -- see store/signals.py
) PARTITION BY RANGE (newest_at);
CREATE INDEX recent_signal_newest ON recent_signal (account_id, newest_at);

CREATE TABLE lasting_signal (LIKE recent_signal INCLUDING ALL) PARTITION BY RANGE (newest_at);
