-- Some services keep the functions that tell the timeline to themselves (Aurora, whose standbys lose nothing).
-- Changes go on there without the jump; a router that is ahead is found out by its report all the same.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE OR REPLACE FUNCTION registry_epoch_outruns_lost_commits() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS
$$
DECLARE
    timeline bigint;
BEGIN
    -- The names of WAL files begin with it; every promotion begins a new one.
    timeline := ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint;
    -- The first one counts from 0; each has room for four billion changes.
    NEW.epoch := greatest(NEW.epoch, (timeline - 1) << 32);
    RETURN NEW;
EXCEPTION
    WHEN object_not_in_prerequisite_state OR feature_not_supported OR insufficient_privilege THEN
        RETURN NEW;
END
$$;
