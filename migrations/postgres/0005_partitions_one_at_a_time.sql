-- Several processes start at the same moment and find the same partition missing: one makes it, the others wait and
-- find it made. Without the lock the second CREATE TABLE is an error. What is there is read from the catalog itself:
-- to_regclass may answer from this session's cache, which says no for a while after another has made the table.
CREATE OR REPLACE FUNCTION make_range_partition(parent text, partition text, low text, high text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF to_regclass(partition) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('footfall partitions', 0));
    IF EXISTS (SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
               WHERE i.inhparent = parent::regclass AND c.relname = partition) THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', partition, parent);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, partition, low, high);
    RETURN true;
END
$$;
