-- Who asked for a promotion, who approved it, and until when: rows that nobody changes or removes. Of each
-- (model, target, source, manifest, gates) the newest counts. Nobody approves what they asked for themselves.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- The same as common/identity.py, which says why.
CREATE FUNCTION registry_identity(p_actor text) RETURNS text LANGUAGE sql IMMUTABLE AS
$$
    SELECT CASE WHEN name ~ '^[!-~]+$' AND name <> 'unknown' THEN name END
      FROM (SELECT lower(btrim(regexp_replace(split_part(
               regexp_replace(normalize(p_actor, NFKC), '[ \t\n\r\f\v]', '', 'g'),
               '@', 1), '^.*\\', ''), '.') COLLATE "C") AS name) AS canonical
$$;
COMMENT ON FUNCTION registry_identity(text) IS
    'llmops.platform: the person behind an actor, however the name is spelled; null where it names nobody';

CREATE TABLE promotion_approvals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model_name text NOT NULL CHECK (model_name <> ''),
    deployment_environment text NOT NULL
        CHECK (deployment_environment ~ '^[a-z0-9]([-a-z0-9]{0,28}[a-z0-9])?$'),
    source_environment text NOT NULL
        CHECK (source_environment ~ '^[a-z0-9]([-a-z0-9]{0,28}[a-z0-9])?$'),
    -- One way to write them: they are compared.
    manifest_digest text NOT NULL CHECK (manifest_digest ~ '^sha256:[0-9a-f]{64}$'),
    gate_set_digest text NOT NULL CHECK (gate_set_digest ~ '^sha256:[0-9a-f]{64}$'),
    kind text NOT NULL CHECK (kind IN ('requested', 'approved', 'withdrawn')),
    request_id bigint REFERENCES promotion_approvals,
    actor text NOT NULL DEFAULT registry_actor(),
    login text NOT NULL DEFAULT session_user,
    reason text,
    -- One moment for this default and for an expires_at that is counted from it.
    created_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    expires_at timestamptz,
    CONSTRAINT promotion_approvals_elsewhere CHECK (source_environment <> deployment_environment),
    CONSTRAINT promotion_approvals_answers_a_request CHECK ((kind = 'requested') = (request_id IS NULL)),
    CONSTRAINT promotion_approvals_reason CHECK (kind <> 'withdrawn' OR coalesce(reason, '') <> ''),
    CONSTRAINT promotion_approvals_expires CHECK ((kind = 'approved') = (expires_at IS NOT NULL)),
    CONSTRAINT promotion_approvals_within_a_month
        CHECK (expires_at > created_at AND expires_at <= created_at + interval '720 hours')
);
COMMENT ON TABLE promotion_approvals IS
    'llmops.platform: who asked for a promotion and who approved it; the newest row counts';
COMMENT ON COLUMN promotion_approvals.id IS 'surrogate key; a higher one is newer';
COMMENT ON COLUMN promotion_approvals.model_name IS 'model of the target';
COMMENT ON COLUMN promotion_approvals.deployment_environment IS 'environment to promote to';
COMMENT ON COLUMN promotion_approvals.source_environment IS 'environment to promote from';
COMMENT ON COLUMN promotion_approvals.manifest_digest IS 'SHA-256 of the manifest that is in the source';
COMMENT ON COLUMN promotion_approvals.gate_set_digest IS 'SHA-256 of the gates with their limits; no gate is skipped';
COMMENT ON COLUMN promotion_approvals.kind IS
    'requested; approved; withdrawn, if a request was refused or an approval taken back';
COMMENT ON COLUMN promotion_approvals.request_id IS 'the request that this answers; null for a request';
COMMENT ON COLUMN promotion_approvals.actor IS 'for whom the program acted, as it said';
COMMENT ON COLUMN promotion_approvals.login IS 'who was logged in to the database';
COMMENT ON COLUMN promotion_approvals.reason IS 'why';
COMMENT ON COLUMN promotion_approvals.created_at IS 'by the clock of the database';
COMMENT ON COLUMN promotion_approvals.expires_at IS 'when an approval ends, by the clock of the database';

CREATE INDEX promotion_approvals_newest
    ON promotion_approvals (model_name, deployment_environment, manifest_digest, gate_set_digest, id DESC);

CREATE TRIGGER promotion_approvals_are_immutable
    BEFORE UPDATE OR DELETE OR TRUNCATE ON promotion_approvals
    FOR EACH STATEMENT EXECUTE FUNCTION registry_refuse_rewriting();

-- Triggers fire in the order of their names: this one before the next.
CREATE TRIGGER promotion_approvals_guard_environment
    BEFORE INSERT OR UPDATE OR DELETE ON promotion_approvals
    FOR EACH ROW EXECUTE FUNCTION registry_guard_environment();

-- Whoever decides by the newest row calls it first.
CREATE FUNCTION promotion_approvals_take_turns(p_model text, p_environment text) RETURNS void LANGUAGE sql AS
$$
    SELECT pg_advisory_xact_lock(hashtextextended(
        pg_catalog.jsonb_build_array('promotion_approvals', p_model, p_environment)::text, 0))
$$;
COMMENT ON FUNCTION promotion_approvals_take_turns(text, text) IS
    'llmops.platform: waits for others who ask or approve for the target, and makes them wait until the commit';

CREATE FUNCTION promotion_approvals_judge() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT AS
$$
DECLARE
    asked promotion_approvals;
    newest promotion_approvals;
BEGIN
    PERFORM promotion_approvals_take_turns(NEW.model_name, NEW.deployment_environment);
    IF registry_identity(NEW.actor) IS NULL THEN
        RAISE EXCEPTION '% does not say which person acts', quote_literal(NEW.actor)
            USING HINT = 'Name the actor by plain letters, digits and signs.';
    END IF;
    SELECT * INTO newest FROM promotion_approvals
     WHERE model_name = NEW.model_name AND deployment_environment = NEW.deployment_environment
       AND source_environment = NEW.source_environment AND manifest_digest = NEW.manifest_digest
       AND gate_set_digest = NEW.gate_set_digest
     ORDER BY id DESC LIMIT 1;
    -- It was numbered before it waited for its turn: the newest row would not be the last one.
    IF newest.id > NEW.id THEN
        RAISE serialization_failure USING MESSAGE = 'somebody else asked or approved at the same time';
    END IF;
    IF NEW.kind = 'requested' THEN
        RETURN NEW;
    END IF;
    SELECT * INTO asked FROM promotion_approvals
     WHERE id = NEW.request_id AND kind = 'requested'
       AND model_name = NEW.model_name AND deployment_environment = NEW.deployment_environment
       AND source_environment = NEW.source_environment AND manifest_digest = NEW.manifest_digest
       AND gate_set_digest = NEW.gate_set_digest;
    IF NOT FOUND THEN
        RAISE EXCEPTION '% is no request for this promotion', NEW.request_id
            USING HINT = 'Model, environments, manifest and gates are those of the request.';
    END IF;
    IF newest.kind = 'withdrawn' OR coalesce(newest.request_id, newest.id) <> asked.id THEN
        RAISE EXCEPTION 'request % is not open any more', asked.id USING HINT = 'Somebody has to ask again.';
    END IF;
    IF NEW.kind = 'approved' AND registry_identity(NEW.actor) = registry_identity(asked.actor) THEN
        RAISE EXCEPTION '% asked for this promotion as %, and so may not approve it',
            quote_literal(NEW.actor), quote_literal(asked.actor) USING HINT = 'Somebody else has to approve it.';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION promotion_approvals_judge() IS
    'llmops.platform: an answer is to an open request for the same, and an approval is by somebody else';

CREATE TRIGGER promotion_approvals_judge
    BEFORE INSERT ON promotion_approvals
    FOR EACH ROW EXECUTE FUNCTION promotion_approvals_judge();

CREATE FUNCTION promotion_approvals_audit() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET timezone TO 'UTC' AS
$$
BEGIN
    PERFORM audit_write('approval.' || NEW.kind, NEW.model_name, NEW.deployment_environment, NULL,
        jsonb_strip_nulls(pg_catalog.jsonb_build_object('id', NEW.id, 'request_id', NEW.request_id,
            'source_environment', NEW.source_environment, 'manifest_digest', NEW.manifest_digest,
            'gate_set_digest', NEW.gate_set_digest, 'expires_at', NEW.expires_at, 'reason', NEW.reason)));
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION promotion_approvals_audit() IS 'llmops.platform: notes each request, approval and withdrawal';
REVOKE ALL ON FUNCTION promotion_approvals_audit() FROM PUBLIC;

CREATE CONSTRAINT TRIGGER promotion_approvals_audit
    AFTER INSERT ON promotion_approvals DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION promotion_approvals_audit();
