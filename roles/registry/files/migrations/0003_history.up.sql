-- Every change of an entry, in the transaction that makes it: the epoch grows, a row of history and one
-- of the audit log are written, and routers are told at the commit.
--
-- Whoever changes an entry holds the rows entry and registry_epoch, taken in this order, until the commit. So
-- epochs are committed in their order: who has read epoch N has seen all changes up to N.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE TABLE registry_epoch (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    registry_id uuid NOT NULL DEFAULT gen_random_uuid(),
    epoch bigint NOT NULL DEFAULT 0,
    changed_at timestamptz NOT NULL DEFAULT now(),
    outrun_at timestamptz
);
COMMENT ON TABLE registry_epoch IS 'llmops.platform: how many changes the registry has seen; one row';
COMMENT ON COLUMN registry_epoch.singleton IS 'keeps it to one row';
COMMENT ON COLUMN registry_epoch.registry_id IS
    'which registry this is; a restored copy gets a new one, so that routers read everything again';
COMMENT ON COLUMN registry_epoch.epoch IS 'grows with every change of an entry';
COMMENT ON COLUMN registry_epoch.changed_at IS 'when it grew last, by the clock of the database';
COMMENT ON COLUMN registry_epoch.outrun_at IS 'when the report of a router that was ahead made it grow last';

INSERT INTO registry_epoch DEFAULT VALUES;

-- A standby that is promoted may lack the last commits. Routers then know of epochs that this registry never
-- had, and it would give the same numbers to other changes: a router could confirm a withdrawal without having
-- seen it. So the first change after a promotion jumps over all epochs that may have been lost.
CREATE FUNCTION registry_epoch_outruns_lost_commits() RETURNS trigger
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
    -- Some services keep these functions to themselves (Aurora, whose standbys lose nothing). Changes go on
    -- there without the jump; a router that is ahead is found out by its report all the same.
    WHEN object_not_in_prerequisite_state OR feature_not_supported OR insufficient_privilege THEN
        RETURN NEW;
END
$$;
COMMENT ON FUNCTION registry_epoch_outruns_lost_commits() IS
    'llmops.platform: no epoch is used twice, whatever a failover lost';
REVOKE ALL ON FUNCTION registry_epoch_outruns_lost_commits() FROM PUBLIC;

CREATE TRIGGER registry_epoch_outruns_lost_commits
    BEFORE UPDATE OF epoch ON registry_epoch
    FOR EACH ROW EXECUTE FUNCTION registry_epoch_outruns_lost_commits();

CREATE TABLE model_registry_history (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    epoch bigint NOT NULL UNIQUE,
    changed_at timestamptz NOT NULL,
    actor text NOT NULL,
    db_user text NOT NULL,
    action text NOT NULL CHECK (action IN ('insert', 'update', 'delete')),
    model_name text NOT NULL,
    deployment_environment text NOT NULL,
    row_version bigint NOT NULL,
    before jsonb,
    after jsonb,
    operation_id uuid
);
COMMENT ON TABLE model_registry_history IS 'llmops.platform: every change of an entry; append-only';
COMMENT ON COLUMN model_registry_history.seq IS 'order of the changes';
COMMENT ON COLUMN model_registry_history.epoch IS 'epoch of the registry after the change';
COMMENT ON COLUMN model_registry_history.changed_at IS 'by the clock of the database';
COMMENT ON COLUMN model_registry_history.actor IS
    'for whom the program acted, as it said (llmops.actor); else the database user';
COMMENT ON COLUMN model_registry_history.db_user IS 'who was logged in to the database';
COMMENT ON COLUMN model_registry_history.action IS 'insert, update or delete';
COMMENT ON COLUMN model_registry_history.model_name IS 'model of the target';
COMMENT ON COLUMN model_registry_history.deployment_environment IS 'environment of the target';
COMMENT ON COLUMN model_registry_history.row_version IS
    'version of the row after the change, or of the removed row';
COMMENT ON COLUMN model_registry_history.before IS 'the whole row before, null for an insert';
COMMENT ON COLUMN model_registry_history.after IS 'the whole row after, null for a delete';
COMMENT ON COLUMN model_registry_history.operation_id IS
    'operation that the change was a part of (llmops.operation)';

CREATE INDEX model_registry_history_target
    ON model_registry_history (model_name, deployment_environment, seq);

CREATE TRIGGER model_registry_history_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON model_registry_history
    FOR EACH STATEMENT EXECUTE FUNCTION registry_refuse_rewriting();

CREATE FUNCTION registry_differences(before jsonb, after jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS
$$
    SELECT coalesce(jsonb_object_agg(key, pg_catalog.jsonb_build_array(before -> key, after -> key)), '{}')
      FROM jsonb_object_keys(coalesce(before, '{}') || coalesce(after, '{}')) AS key
     WHERE nullif(before -> key, 'null') IS DISTINCT FROM nullif(after -> key, 'null')
$$;
COMMENT ON FUNCTION registry_differences(jsonb, jsonb) IS
    'llmops.platform: the fields of a row that differ, each with the value before and after';

CREATE FUNCTION registry_record(p_action text, p_before jsonb, p_after jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS
$$
DECLARE
    entry CONSTANT jsonb := coalesce(p_after, p_before);
    model CONSTANT text := entry ->> 'model_name';
    environment CONSTANT text := entry ->> 'deployment_environment';
    moment timestamptz;
    reached bigint;
BEGIN
    UPDATE registry_epoch SET epoch = epoch + 1, changed_at = clock_timestamp()
        RETURNING epoch, changed_at INTO STRICT reached, moment;
    INSERT INTO model_registry_history
        (epoch, changed_at, actor, db_user, action, model_name, deployment_environment, row_version,
         before, after, operation_id)
        VALUES (reached, moment, registry_actor(), session_user, p_action, model, environment,
                (entry ->> 'row_version')::bigint, p_before, p_after, registry_operation());
    PERFORM pg_notify('llmops_registry', pg_catalog.jsonb_build_object(
        'epoch', reached, 'environment', environment, 'model', model)::text);
END
$$;
COMMENT ON FUNCTION registry_record(text, jsonb, jsonb) IS
    'llmops.platform: records one change of an entry: epoch, history, notification';
REVOKE ALL ON FUNCTION registry_record(text, jsonb, jsonb) FROM PUBLIC;

CREATE FUNCTION model_registry_history_audit() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS
$$
DECLARE
    -- The row of the log says these itself.
    stamps CONSTANT text[] := ARRAY['row_version', 'updated_at', 'updated_by'];
BEGIN
    PERFORM audit_write('entry.' || NEW.action, NEW.model_name, NEW.deployment_environment, NEW.operation_id,
        pg_catalog.jsonb_build_object('epoch', NEW.epoch, 'row_version', NEW.row_version,
            'changes', registry_differences(NEW.before - stamps, NEW.after - stamps)));
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION model_registry_history_audit() IS 'llmops.platform: notes each change of an entry';
REVOKE ALL ON FUNCTION model_registry_history_audit() FROM PUBLIC;

CREATE CONSTRAINT TRIGGER model_registry_history_audit
    AFTER INSERT ON model_registry_history DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION model_registry_history_audit();

-- Its time zone makes timestamps in the history look the same, whoever writes.
CREATE FUNCTION model_registry_entries_record() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET timezone TO 'UTC' AS
$$
DECLARE
    was jsonb;
    became jsonb;
BEGIN
    -- A health check alone is no change: it leaves the version as it was.
    IF TG_OP = 'UPDATE' AND NEW.row_version = OLD.row_version THEN
        RETURN NULL;
    END IF;
    -- Rows of an older table that belong to no environment are no targets.
    IF TG_OP <> 'INSERT' AND OLD.deployment_environment IS NOT NULL THEN
        was := pg_catalog.to_jsonb(OLD);
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.deployment_environment IS NOT NULL THEN
        became := pg_catalog.to_jsonb(NEW);
    END IF;
    IF was IS NOT NULL AND became IS NOT NULL
       AND OLD.model_name = NEW.model_name AND OLD.deployment_environment = NEW.deployment_environment THEN
        PERFORM registry_record('update', was, became);
        RETURN NULL;
    END IF;
    -- A row that was given to another target is gone for the one and new for the other.
    IF was IS NOT NULL THEN
        PERFORM registry_record('delete', was, NULL);
    END IF;
    IF became IS NOT NULL THEN
        PERFORM registry_record('insert', NULL, became);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION model_registry_entries_record() IS
    'llmops.platform: records every change of a row of model_registry_entries that is a target';
REVOKE ALL ON FUNCTION model_registry_entries_record() FROM PUBLIC;

CREATE TRIGGER model_registry_entries_record
    AFTER INSERT OR UPDATE OR DELETE ON model_registry_entries
    FOR EACH ROW EXECUTE FUNCTION model_registry_entries_record();

CREATE FUNCTION model_registry_entries_keep_from_truncate() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS
$$
BEGIN
    IF EXISTS (SELECT FROM model_registry_entries WHERE deployment_environment IS NOT NULL) THEN
        RAISE EXCEPTION 'TRUNCATE of model_registry_entries is refused: routers would not be told'
            USING HINT = 'Use DELETE.';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION model_registry_entries_keep_from_truncate() IS
    'llmops.platform: refuses what would remove targets without a record';
REVOKE ALL ON FUNCTION model_registry_entries_keep_from_truncate() FROM PUBLIC;

CREATE TRIGGER model_registry_entries_keep_from_truncate
    BEFORE TRUNCATE ON model_registry_entries
    FOR EACH STATEMENT EXECUTE FUNCTION model_registry_entries_keep_from_truncate();
