SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE OR REPLACE FUNCTION registry_epoch_outruns_lost_commits() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS
$$
DECLARE
    -- The names of WAL files begin with it; every promotion begins a new one.
    timeline CONSTANT bigint := ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint;
BEGIN
    -- The first one counts from 0; each has room for four billion changes.
    NEW.epoch := greatest(NEW.epoch, (timeline - 1) << 32);
    RETURN NEW;
END
$$;
