-- What the health checker reports. It changes an entry between ready and degraded and in no other way, and
-- never one that is locked or that was changed since it was looked at. When it does so is not for it to say: the
-- rules are a row of the environment, which its deployers write.
--
-- A manifest that stays ready for a whole soak gets a verdict, and so does one that does not.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- What is null has the default that health_check_rules_of() says, as has an environment without a row.
CREATE TABLE health_check_rules (
    deployment_environment text PRIMARY KEY
        CHECK (deployment_environment ~ '^[a-z0-9]([-a-z0-9]{0,28}[a-z0-9])?$'),
    failures integer CHECK (failures BETWEEN 1 AND 100000),
    successes integer CHECK (successes BETWEEN 1 AND 100000),
    soak_s double precision CHECK (soak_s > 0 AND soak_s <= 2592000),
    soak_failures integer CHECK (soak_failures BETWEEN 1 AND 100000)
);
COMMENT ON TABLE health_check_rules IS 'llmops.platform: what health checks mean in an environment';
COMMENT ON COLUMN health_check_rules.deployment_environment IS 'the environment';
COMMENT ON COLUMN health_check_rules.failures IS 'failed checks in a row that make a ready entry degraded';
COMMENT ON COLUMN health_check_rules.successes IS 'good checks in a row that make a degraded entry ready';
COMMENT ON COLUMN health_check_rules.soak_s IS
    'seconds for which an entry has to stay ready before its manifest has passed';
COMMENT ON COLUMN health_check_rules.soak_failures IS
    'failed checks within one soak, in a row or not, after which the manifest is not to be gone back to';

CREATE TRIGGER health_check_rules_guard_environment
    BEFORE INSERT OR UPDATE OR DELETE ON health_check_rules
    FOR EACH ROW EXECUTE FUNCTION registry_guard_environment();

CREATE FUNCTION health_check_rules_audit() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS
$$
DECLARE
    was CONSTANT jsonb := CASE WHEN TG_OP <> 'INSERT' THEN pg_catalog.to_jsonb(OLD) END;
    became CONSTANT jsonb := CASE WHEN TG_OP <> 'DELETE' THEN pg_catalog.to_jsonb(NEW) END;
BEGIN
    IF was IS DISTINCT FROM became THEN
        PERFORM audit_write('health_check_rules.' || lower(TG_OP), NULL,
            coalesce(became, was) ->> 'deployment_environment', NULL,
            pg_catalog.jsonb_build_object('changes', registry_differences(was, became)));
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION health_check_rules_audit() IS 'llmops.platform: notes each change of the rules';
REVOKE ALL ON FUNCTION health_check_rules_audit() FROM PUBLIC;

CREATE CONSTRAINT TRIGGER health_check_rules_audit
    AFTER INSERT OR UPDATE OR DELETE ON health_check_rules DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION health_check_rules_audit();

CREATE FUNCTION health_check_rules_of(p_environment text) RETURNS health_check_rules
    LANGUAGE sql STABLE AS
$$
    SELECT p_environment, coalesce(failures, 3), coalesce(successes, 2), coalesce(soak_s, 900),
           coalesce(soak_failures, 10)
      FROM (SELECT) AS always LEFT JOIN health_check_rules ON deployment_environment = p_environment
$$;
COMMENT ON FUNCTION health_check_rules_of(text) IS
    'llmops.platform: the rules of an environment, with the defaults where it has none of its own';

CREATE TABLE health_checks (
    model_name text NOT NULL,
    deployment_environment text NOT NULL,
    row_version bigint NOT NULL,
    consecutive_failures integer NOT NULL,
    consecutive_successes integer NOT NULL,
    last_checked_at timestamptz NOT NULL,
    last_ok_at timestamptz,
    last_error text,
    -- A number that is none would stand above all others.
    latency_s double precision CHECK (latency_s BETWEEN 0 AND 86400),
    soak_from timestamptz,
    soak_checks integer NOT NULL DEFAULT 0,
    soak_failures integer NOT NULL DEFAULT 0,
    soak_latencies double precision[] NOT NULL DEFAULT '{}',
    soak_settled boolean NOT NULL DEFAULT false,
    soaked_digest text,
    soaked_revision bigint,
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
COMMENT ON COLUMN health_checks.soak_from IS
    'since when it is ready and was checked without a gap, by the clock of the database; null while it is degraded';
COMMENT ON COLUMN health_checks.soak_checks IS 'checks since then, until the verdict';
COMMENT ON COLUMN health_checks.soak_failures IS 'failed ones of these';
COMMENT ON COLUMN health_checks.soak_latencies IS 'seconds that the good ones of these took, the last 1000';
COMMENT ON COLUMN health_checks.soak_settled IS 'whether this soak has had its verdict';
COMMENT ON COLUMN health_checks.soaked_digest IS
    'manifest that was ready for a whole soak and has not been degraded since';
COMMENT ON COLUMN health_checks.soaked_revision IS 'revision of the Helm release that it was then';

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

-- One row for each change of the verdict, not for each soak or check: the table only grows.
CREATE FUNCTION health_checks_settle(
    p_checked health_checks, p_manifest_digest text, p_verdict text, p_reason text
) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET timezone TO 'UTC' AS
$$
DECLARE
    newest manifest_verifications;
    p50 double precision;
    p95 double precision;
BEGIN
    SELECT * INTO newest FROM manifest_verifications
     WHERE model_name = p_checked.model_name AND deployment_environment = p_checked.deployment_environment
       AND manifest_digest = p_manifest_digest
     ORDER BY id DESC LIMIT 1;
    -- That a deployment verified it says less than that it served for a while.
    IF newest.verdict = p_verdict AND (p_verdict = 'revoked' OR newest.evidence ? 'soak') THEN
        RETURN;
    END IF;
    -- Whoever revoked it for another reason, as a rollback or by hand, knows more than that it answers.
    IF p_verdict = 'passed' AND newest.verdict = 'revoked' AND NOT newest.evidence ? 'soak' THEN
        RETURN;
    END IF;
    SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY took), percentile_disc(0.95) WITHIN GROUP (ORDER BY took)
      INTO p50, p95 FROM unnest(p_checked.soak_latencies) AS took;
    INSERT INTO manifest_verifications
        (model_name, deployment_environment, manifest_digest, verdict, reason, evidence)
    VALUES (p_checked.model_name, p_checked.deployment_environment, p_manifest_digest, p_verdict,
        left(p_reason, 500), pg_catalog.jsonb_build_object('soak', jsonb_strip_nulls(pg_catalog.jsonb_build_object(
            'from', p_checked.soak_from, 'to', p_checked.last_checked_at,
            'duration_s', round(extract(epoch FROM p_checked.last_checked_at - p_checked.soak_from)::numeric, 3),
            'checks', p_checked.soak_checks, 'failures', p_checked.soak_failures,
            'p50_latency_s', round(p50::numeric, 3), 'p95_latency_s', round(p95::numeric, 3)))));
END
$$;
COMMENT ON FUNCTION health_checks_settle(health_checks, text, text, text) IS
    'llmops.platform: appends the verdict on a manifest that a soak came to, if it is news';
REVOKE ALL ON FUNCTION health_checks_settle(health_checks, text, text, text) FROM PUBLIC;

CREATE FUNCTION record_health_check(
    p_model text, p_environment text, p_row_version bigint, p_healthy boolean, p_latency_s double precision,
    p_reason text
) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS
$$
DECLARE
    moment CONSTANT timestamptz := clock_timestamp();
    reason CONSTANT text := left(p_reason, 1000);
    rules CONSTANT health_check_rules := health_check_rules_of(p_environment);
    held operation_locks;
    seen health_checks;
    same boolean;
    version bigint;
    status text;
    digest text;
    revision bigint;
    wanted text;
BEGIN
    IF p_healthy IS NULL THEN
        RAISE EXCEPTION 'p_healthy is null';
    END IF;
    PERFORM registry_require('health_checker', p_environment);
    -- In the order of all writers: lock, entry, epoch. Shared, so that the lock stays as it is.
    SELECT * INTO held FROM operation_locks
     WHERE model_name = p_model AND deployment_environment = p_environment FOR SHARE;
    IF held.operation_id IS NOT NULL AND held.expires_at > moment THEN
        RETURN NULL;
    END IF;
    SELECT row_version, deployment_status, manifest_digest, release_revision
      INTO version, status, digest, revision
      FROM model_registry_entries
     WHERE model_name = p_model AND deployment_environment = p_environment FOR NO KEY UPDATE;
    IF version IS DISTINCT FROM p_row_version THEN
        RETURN NULL;
    END IF;
    IF status NOT IN ('ready', 'degraded') THEN
        RETURN status;
    END IF;

    SELECT * INTO seen FROM health_checks
     WHERE model_name = p_model AND deployment_environment = p_environment;
    -- Whoever else changed the entry may have changed what is behind it: all counts begin anew.
    same := coalesce(seen.row_version = version, false);
    -- Nor is a soak what nobody looked at for a good part of it: but a short soak has pauses, too.
    IF NOT same OR status <> 'ready' OR seen.soak_from IS NULL OR (NOT seen.soak_settled
            AND moment - seen.last_checked_at > make_interval(secs => greatest(rules.soak_s / 5, 60))) THEN
        seen.soak_from := moment;
        seen.soak_checks := 0;
        seen.soak_failures := 0;
        seen.soak_latencies := '{}';
        -- Without a manifest there is nothing to give a verdict on; and what has had its soak is not on trial
        -- again because of a change of the entry that changed nothing of what runs.
        seen.soak_settled := digest IS NULL
            OR (seen.soaked_digest = digest AND seen.soaked_revision IS NOT DISTINCT FROM revision);
        IF NOT coalesce(seen.soak_settled, false) THEN
            seen.soak_settled := false;
            seen.soaked_digest := NULL;
            seen.soaked_revision := NULL;
        END IF;
    END IF;
    seen.model_name := p_model;
    seen.deployment_environment := p_environment;
    seen.consecutive_failures := CASE
        WHEN p_healthy THEN 0
        WHEN same THEN seen.consecutive_failures + 1
        ELSE 1 END;
    seen.consecutive_successes := CASE
        WHEN NOT p_healthy THEN 0
        WHEN same THEN seen.consecutive_successes + 1
        ELSE 1 END;
    seen.last_checked_at := moment;
    seen.latency_s := p_latency_s;
    IF p_healthy THEN
        seen.last_ok_at := moment;
    ELSE
        seen.last_error := coalesce(reason, seen.last_error);
    END IF;
    wanted := CASE
        WHEN status = 'ready' AND seen.consecutive_failures >= rules.failures THEN 'degraded'
        WHEN status = 'degraded' AND seen.consecutive_successes >= rules.successes THEN 'ready'
        ELSE status END;

    IF NOT seen.soak_settled AND 'ready' IN (status, wanted) THEN
        seen.soak_checks := seen.soak_checks + 1;
        seen.soak_failures := seen.soak_failures + (NOT p_healthy)::integer;
        IF p_healthy AND p_latency_s IS NOT NULL THEN
            seen.soak_latencies := (seen.soak_latencies || p_latency_s)[greatest(cardinality(seen.soak_latencies) - 998, 1):];
        END IF;
        IF wanted = 'degraded' OR seen.soak_failures >= rules.soak_failures THEN
            PERFORM health_checks_settle(seen, digest, 'revoked', pg_catalog.format('%s within its soak of %s s: %s',
                CASE wanted WHEN 'degraded' THEN 'degraded'
                    ELSE pg_catalog.format('%s of %s checks failed', seen.soak_failures, seen.soak_checks) END,
                rules.soak_s, coalesce(reason, 'it did not serve')));
            -- It passes again after a whole soak.
            seen.soak_from := moment;
            seen.soak_checks := 0;
            seen.soak_failures := 0;
            seen.soak_latencies := '{}';
        ELSIF p_healthy AND moment - seen.soak_from >= make_interval(secs => rules.soak_s) THEN
            PERFORM health_checks_settle(seen, digest, 'passed', NULL);
            seen.soak_settled := true;
            seen.soaked_digest := digest;
            seen.soaked_revision := revision;
            seen.soak_latencies := '{}';
        END IF;
    END IF;
    IF wanted = 'degraded' THEN
        seen.soak_from := NULL;
        seen.soaked_digest := NULL;
        seen.soaked_revision := NULL;
    END IF;

    IF wanted <> status OR p_healthy THEN
        UPDATE model_registry_entries SET
            deployment_status = wanted,
            status_reason = CASE wanted WHEN status THEN status_reason WHEN 'degraded' THEN reason END,
            last_health_check_at = CASE WHEN p_healthy THEN moment ELSE last_health_check_at END
         WHERE model_name = p_model AND deployment_environment = p_environment
        RETURNING row_version INTO version;
    END IF;
    -- Our own change of the status is none that the count begins anew for.
    seen.row_version := version;
    INSERT INTO health_checks SELECT seen.*
    ON CONFLICT (model_name, deployment_environment) DO UPDATE SET
        row_version = excluded.row_version,
        consecutive_failures = excluded.consecutive_failures,
        consecutive_successes = excluded.consecutive_successes,
        last_checked_at = excluded.last_checked_at,
        last_ok_at = excluded.last_ok_at,
        last_error = excluded.last_error,
        latency_s = excluded.latency_s,
        soak_from = excluded.soak_from,
        soak_checks = excluded.soak_checks,
        soak_failures = excluded.soak_failures,
        soak_latencies = excluded.soak_latencies,
        soak_settled = excluded.soak_settled,
        soaked_digest = excluded.soaked_digest,
        soaked_revision = excluded.soaked_revision;
    RETURN wanted;
END
$$;
COMMENT ON FUNCTION record_health_check(text, text, bigint, boolean, double precision, text) IS
    'llmops.platform: records a check of an entry and returns its status; null where nothing was written because'
    ' the entry is gone, has another version, or is locked';
REVOKE ALL ON FUNCTION record_health_check(text, text, bigint, boolean, double precision, text) FROM PUBLIC;
