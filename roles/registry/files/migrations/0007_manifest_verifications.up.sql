-- Whether a manifest served well in an environment: rows that nobody changes or removes, of which the newest
-- counts. Promotion and rollback ask for it and never infer it.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE TABLE manifest_verifications (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model_name text NOT NULL,
    deployment_environment text NOT NULL
        CHECK (deployment_environment ~ '^[a-z0-9]([-a-z0-9]{0,28}[a-z0-9])?$'),
    manifest_digest text NOT NULL CHECK (manifest_digest ~ '^(sha256:)?[0-9a-f]{64}$'),
    verdict text NOT NULL CHECK (verdict IN ('passed', 'failed', 'revoked')),
    reason text,
    evidence jsonb NOT NULL DEFAULT '{}',
    operation_id uuid,
    verified_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    verified_by text NOT NULL DEFAULT registry_actor(),
    CONSTRAINT manifest_verifications_reason CHECK (verdict = 'passed' OR coalesce(reason, '') <> '')
);
COMMENT ON TABLE manifest_verifications IS
    'llmops.platform: whether a manifest served well in an environment; the newest row counts';
COMMENT ON COLUMN manifest_verifications.id IS 'surrogate key; a higher one is newer';
COMMENT ON COLUMN manifest_verifications.model_name IS 'model of the target';
COMMENT ON COLUMN manifest_verifications.deployment_environment IS 'environment of the target';
COMMENT ON COLUMN manifest_verifications.manifest_digest IS 'SHA-256 of the rendered manifest';
COMMENT ON COLUMN manifest_verifications.verdict IS
    'passed; failed, if it did not serve; revoked, if it served and is not to be gone back to';
COMMENT ON COLUMN manifest_verifications.reason IS 'why it failed or was revoked';
COMMENT ON COLUMN manifest_verifications.evidence IS 'what was asked and what was answered, with times in seconds';
COMMENT ON COLUMN manifest_verifications.operation_id IS 'operation that found it out';
COMMENT ON COLUMN manifest_verifications.verified_at IS 'by the clock of the database';
COMMENT ON COLUMN manifest_verifications.verified_by IS 'for whom the program acted';

CREATE INDEX manifest_verifications_newest
    ON manifest_verifications (model_name, deployment_environment, manifest_digest, id DESC);

CREATE TRIGGER manifest_verifications_are_immutable
    BEFORE UPDATE OR DELETE OR TRUNCATE ON manifest_verifications
    FOR EACH STATEMENT EXECUTE FUNCTION registry_refuse_rewriting();

CREATE TRIGGER manifest_verifications_guard_environment
    BEFORE INSERT OR UPDATE OR DELETE ON manifest_verifications
    FOR EACH ROW EXECUTE FUNCTION registry_guard_environment();

CREATE FUNCTION manifest_verifications_audit() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS
$$
BEGIN
    PERFORM audit_write('manifest.' || NEW.verdict, NEW.model_name, NEW.deployment_environment,
        NEW.operation_id, jsonb_strip_nulls(pg_catalog.jsonb_build_object('manifest_digest', NEW.manifest_digest,
            'reason', NEW.reason)));
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION manifest_verifications_audit() IS 'llmops.platform: notes each verdict on a manifest';
REVOKE ALL ON FUNCTION manifest_verifications_audit() FROM PUBLIC;

CREATE CONSTRAINT TRIGGER manifest_verifications_audit
    AFTER INSERT ON manifest_verifications DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION manifest_verifications_audit();
