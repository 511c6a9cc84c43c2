-- The one place that keeps row_version, updated_at and updated_by, whoever writes and by whatever program.
--
-- A health check alone is no change of the entry: it would make every deployment that runs at the same time
-- fail with a conflict.

CREATE FUNCTION model_registry_entries_stamp() RETURNS trigger
    LANGUAGE plpgsql AS
$$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        -- The stamps are not the writer's to set.
        NEW.row_version := OLD.row_version;
        NEW.updated_at := OLD.updated_at;
        NEW.updated_by := OLD.updated_by;
        IF to_jsonb(NEW) - 'last_health_check_at' = to_jsonb(OLD) - 'last_health_check_at' THEN
            RETURN NEW;
        END IF;
        NEW.row_version := OLD.row_version + 1;
    ELSE
        NEW.row_version := 1;
    END IF;
    NEW.updated_at := now();
    -- Programs say for whom they act; anybody else acts as the database role of the session.
    NEW.updated_by := coalesce(nullif(current_setting('llmops.actor', true), ''), session_user);
    RETURN NEW;
END
$$;

COMMENT ON FUNCTION model_registry_entries_stamp() IS
    'llmops.platform: stamps rows of model_registry_entries with version, time and author';

CREATE TRIGGER model_registry_entries_stamp
    BEFORE INSERT OR UPDATE ON model_registry_entries
    FOR EACH ROW EXECUTE FUNCTION model_registry_entries_stamp();
