-- What exactly was deployed as each revision of a release: rows that nobody changes or removes, which a
-- rollback goes back to.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE TABLE deployment_manifests (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model_name text NOT NULL,
    deployment_environment text NOT NULL
        CHECK (deployment_environment ~ '^[a-z0-9]([-a-z0-9]{0,28}[a-z0-9])?$'),
    release_name text NOT NULL,
    release_revision integer NOT NULL CHECK (release_revision > 0),
    manifest_digest text NOT NULL CHECK (manifest_digest ~ '^(sha256:)?[0-9a-f]{64}$'),
    chart_version text,
    chart_digest text,
    image text,
    image_digest text,
    model_source text,
    model_revision text,
    values jsonb NOT NULL DEFAULT '{}',
    values_digest text,
    values_redacted boolean NOT NULL DEFAULT false,
    objects json,
    source_environment text,
    source_digest text CHECK (source_digest ~ '^(sha256:)?[0-9a-f]{64}$'),
    operation_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT registry_actor(),
    CONSTRAINT deployment_manifests_source CHECK ((source_environment IS NULL) = (source_digest IS NULL))
);
CREATE INDEX deployment_manifests_newest ON deployment_manifests (model_name, deployment_environment, id DESC);
COMMENT ON TABLE deployment_manifests IS 'llmops.platform: immutable record of each revision of a release';
COMMENT ON COLUMN deployment_manifests.id IS 'surrogate key';
COMMENT ON COLUMN deployment_manifests.model_name IS 'model of the target';
COMMENT ON COLUMN deployment_manifests.deployment_environment IS 'environment of the target';
COMMENT ON COLUMN deployment_manifests.release_name IS 'Helm release';
COMMENT ON COLUMN deployment_manifests.release_revision IS 'revision of the Helm release';
COMMENT ON COLUMN deployment_manifests.manifest_digest IS 'SHA-256 of the rendered manifest';
COMMENT ON COLUMN deployment_manifests.chart_version IS 'version of the Helm chart';
COMMENT ON COLUMN deployment_manifests.chart_digest IS 'SHA-256 of the files of the chart';
COMMENT ON COLUMN deployment_manifests.image IS 'container image as it was asked for';
COMMENT ON COLUMN deployment_manifests.image_digest IS 'digest of the image that ran';
COMMENT ON COLUMN deployment_manifests.model_source IS 'where the weights come from: repository, bucket or path';
COMMENT ON COLUMN deployment_manifests.model_revision IS 'commit or tag of the weights';
COMMENT ON COLUMN deployment_manifests.values IS 'values that the chart was rendered with, secrets left out';
COMMENT ON COLUMN deployment_manifests.values_digest IS 'SHA-256 of the values';
COMMENT ON COLUMN deployment_manifests.values_redacted IS 'whether secrets were left out of the values';
COMMENT ON COLUMN deployment_manifests.objects IS
    'the objects of the manifest, word for word; null where they hold secrets';
COMMENT ON COLUMN deployment_manifests.source_environment IS 'environment that it was promoted from, if it was';
COMMENT ON COLUMN deployment_manifests.source_digest IS 'SHA-256 of the manifest that was proven there';
COMMENT ON COLUMN deployment_manifests.operation_id IS 'operation that made the revision';
COMMENT ON COLUMN deployment_manifests.created_at IS 'by the clock of the database';
COMMENT ON COLUMN deployment_manifests.created_by IS 'for whom the program acted';

CREATE TRIGGER deployment_manifests_are_immutable
    BEFORE UPDATE OR DELETE OR TRUNCATE ON deployment_manifests
    FOR EACH STATEMENT EXECUTE FUNCTION registry_refuse_rewriting();

CREATE TRIGGER deployment_manifests_guard_environment
    BEFORE INSERT OR UPDATE OR DELETE ON deployment_manifests
    FOR EACH ROW EXECUTE FUNCTION registry_guard_environment();

CREATE FUNCTION deployment_manifests_audit() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS
$$
BEGIN
    PERFORM audit_write('manifest.recorded', NEW.model_name, NEW.deployment_environment, NEW.operation_id,
        jsonb_strip_nulls(pg_catalog.jsonb_build_object('release_name', NEW.release_name,
            'release_revision', NEW.release_revision, 'manifest_digest', NEW.manifest_digest,
            'chart_digest', NEW.chart_digest, 'image_digest', NEW.image_digest,
            'model_revision', NEW.model_revision, 'values_digest', NEW.values_digest,
            'source_environment', NEW.source_environment, 'source_digest', NEW.source_digest)));
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION deployment_manifests_audit() IS 'llmops.platform: notes each recorded manifest';
REVOKE ALL ON FUNCTION deployment_manifests_audit() FROM PUBLIC;

CREATE CONSTRAINT TRIGGER deployment_manifests_audit
    AFTER INSERT ON deployment_manifests DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION deployment_manifests_audit();
