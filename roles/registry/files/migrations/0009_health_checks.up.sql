-- What the health checker reports. It changes an entry between ready and degraded and in no other way, and
-- never one that is locked or that was changed since it was looked at.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE TABLE health_checks (
    model_name text NOT NULL,
    deployment_environment text NOT NULL,
    row_version bigint NOT NULL,
    consecutive_failures integer NOT NULL,
    consecutive_successes integer NOT NULL,
    last_checked_at timestamptz NOT NULL,
    last_ok_at timestamptz,
    last_error text,
    latency_s double precision,
    PRIMARY KEY (model_name, deployment_environment)
);
COMMENT ON TABLE health_checks IS 'llmops.platform: last checks of each target';
COMMENT ON COLUMN health_checks.model_name IS 'model of the target';
COMMENT ON COLUMN health_checks.deployment_environment IS 'environment of the target';
COMMENT ON COLUMN health_checks.row_version IS 'version of the entry that was checked; another one counts from 0';
COMMENT ON COLUMN health_checks.consecutive_failures IS 'failed checks since the last good one';
COMMENT ON COLUMN health_checks.consecutive_successes IS 'good checks since the last failed one';
COMMENT ON COLUMN health_checks.last_checked_at IS 'by the clock of the database';
COMMENT ON COLUMN health_checks.last_ok_at IS 'last good check, by the clock of the database';
COMMENT ON COLUMN health_checks.last_error IS 'why the last failed check failed';
COMMENT ON COLUMN health_checks.latency_s IS 'seconds that the last check took';

CREATE VIEW health_states AS
    SELECT model_name, deployment_environment, row_version, consecutive_failures, consecutive_successes,
           last_checked_at, last_ok_at, last_error, latency_s
      FROM health_checks;
COMMENT ON VIEW health_states IS 'llmops.platform: last checks of each target, for health checkers';

-- An entry that is made anew begins without the checks of the one before.
CREATE FUNCTION model_registry_entries_forget_health() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS
$$
BEGIN
    DELETE FROM health_checks
     WHERE model_name = OLD.model_name AND deployment_environment = OLD.deployment_environment;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION model_registry_entries_forget_health() IS
    'llmops.platform: removes the checks of a target that is gone';
REVOKE ALL ON FUNCTION model_registry_entries_forget_health() FROM PUBLIC;

CREATE TRIGGER model_registry_entries_forget_health
    AFTER DELETE OR UPDATE OF model_name, deployment_environment ON model_registry_entries
    FOR EACH ROW EXECUTE FUNCTION model_registry_entries_forget_health();

CREATE FUNCTION record_health_check(
    p_model text, p_environment text, p_row_version bigint, p_healthy boolean, p_latency_s double precision,
    p_reason text, p_failures integer, p_successes integer
) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS
$$
DECLARE
    moment CONSTANT timestamptz := clock_timestamp();
    reason CONSTANT text := left(p_reason, 1000);
    held operation_locks;
    version bigint;
    status text;
    wanted text;
    failures integer;
    successes integer;
BEGIN
    IF p_healthy IS NULL OR coalesce(p_failures, 0) < 1 OR coalesce(p_successes, 0) < 1 THEN
        RAISE EXCEPTION 'p_healthy is null, or p_failures or p_successes is less than 1';
    END IF;
    PERFORM registry_require('health_checker', p_environment);
    -- In the order of all writers: lock, entry, epoch. Shared, so that the lock stays as it is.
    SELECT * INTO held FROM operation_locks
     WHERE model_name = p_model AND deployment_environment = p_environment FOR SHARE;
    IF held.operation_id IS NOT NULL AND held.expires_at > moment THEN
        RETURN NULL;
    END IF;
    SELECT row_version, deployment_status INTO version, status FROM model_registry_entries
     WHERE model_name = p_model AND deployment_environment = p_environment FOR NO KEY UPDATE;
    IF version IS DISTINCT FROM p_row_version THEN
        RETURN NULL;
    END IF;
    IF status NOT IN ('ready', 'degraded') THEN
        RETURN status;
    END IF;

    INSERT INTO health_checks AS seen (model_name, deployment_environment, row_version, consecutive_failures,
                                       consecutive_successes, last_checked_at, last_ok_at, last_error, latency_s)
    VALUES (p_model, p_environment, version, (NOT p_healthy)::integer, p_healthy::integer, moment,
            CASE WHEN p_healthy THEN moment END, CASE WHEN NOT p_healthy THEN reason END, p_latency_s)
    ON CONFLICT (model_name, deployment_environment) DO UPDATE SET
        row_version = version,
        consecutive_failures = CASE
            WHEN p_healthy THEN 0
            WHEN seen.row_version = version THEN seen.consecutive_failures + 1
            ELSE 1 END,
        consecutive_successes = CASE
            WHEN NOT p_healthy THEN 0
            WHEN seen.row_version = version THEN seen.consecutive_successes + 1
            ELSE 1 END,
        last_checked_at = moment,
        last_ok_at = coalesce(excluded.last_ok_at, seen.last_ok_at),
        last_error = coalesce(excluded.last_error, seen.last_error),
        latency_s = p_latency_s
    RETURNING consecutive_failures, consecutive_successes INTO failures, successes;

    wanted := CASE
        WHEN status = 'ready' AND failures >= p_failures THEN 'degraded'
        WHEN status = 'degraded' AND successes >= p_successes THEN 'ready'
        ELSE status END;
    IF wanted <> status OR p_healthy THEN
        UPDATE model_registry_entries SET
            deployment_status = wanted,
            status_reason = CASE wanted WHEN status THEN status_reason WHEN 'degraded' THEN reason END,
            last_health_check_at = CASE WHEN p_healthy THEN moment ELSE last_health_check_at END
         WHERE model_name = p_model AND deployment_environment = p_environment
        RETURNING row_version INTO version;
        -- Our own change of the status is none that the count begins anew for.
        UPDATE health_checks SET row_version = version
         WHERE model_name = p_model AND deployment_environment = p_environment;
    END IF;
    RETURN wanted;
END
$$;
COMMENT ON FUNCTION record_health_check(text, text, bigint, boolean, double precision, text, integer, integer) IS
    'llmops.platform: records a check of an entry and returns its status; null where nothing was written because'
    ' the entry is gone, has another version, or is locked';
REVOKE ALL ON FUNCTION
    record_health_check(text, text, bigint, boolean, double precision, text, integer, integer) FROM PUBLIC;
