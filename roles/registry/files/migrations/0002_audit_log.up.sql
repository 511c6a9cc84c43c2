-- Who did what to which model: rows that nobody changes or removes, each sealed with the hash of the one
-- before. docs/database-roles.md says how far that goes, audit_info checks it.
--
-- Triggers append at the commit (they are deferred), so that the end of the log is the last row that a
-- transaction locks, whatever it does before, and is held only for a moment.

-- Functions that run with their owner's rights must not find a caller's temporary table where they look for
-- one of these: each of them keeps this search path. Nor may everybody execute one, those of triggers neither:
-- whoever may could put it on a temporary table of their own, and so have it write with its owner's rights
-- whatever they insert there. The triggers of the schema need no such right to fire.
-- What takes arguments of any type is called by its full name where rights depend on it.
SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE TABLE audit_log (
    seq bigint PRIMARY KEY,
    occurred_at timestamptz NOT NULL,
    actor text NOT NULL,
    db_user text NOT NULL,
    action text NOT NULL,
    model_name text,
    deployment_environment text,
    operation_id uuid,
    detail jsonb NOT NULL,
    -- Unique, so that the chain cannot fork.
    previous_hash text NOT NULL UNIQUE,
    hash text NOT NULL
);
COMMENT ON TABLE audit_log IS 'llmops.platform: who did what, sealed as a chain of hashes; append-only';
COMMENT ON COLUMN audit_log.seq IS 'place in the chain, from 1 without gaps';
COMMENT ON COLUMN audit_log.occurred_at IS 'by the clock of the database';
COMMENT ON COLUMN audit_log.actor IS
    'for whom the program acted, as it said (llmops.actor); else the database user';
COMMENT ON COLUMN audit_log.db_user IS 'who was logged in to the database';
COMMENT ON COLUMN audit_log.action IS 'such as entry.update or operation.started';
COMMENT ON COLUMN audit_log.model_name IS 'model of the target, if the action has one';
COMMENT ON COLUMN audit_log.deployment_environment IS 'environment of the target, if the action has one';
COMMENT ON COLUMN audit_log.operation_id IS 'operation that the action was a part of';
COMMENT ON COLUMN audit_log.detail IS 'what changed';
COMMENT ON COLUMN audit_log.previous_hash IS 'hash of the row before; 64 zeros for the first';
COMMENT ON COLUMN audit_log.hash IS 'SHA-256 over all other columns as audit_text() writes them, in hex';

CREATE INDEX audit_log_target ON audit_log (model_name, deployment_environment, seq);
CREATE INDEX audit_log_time ON audit_log (occurred_at);

CREATE TABLE audit_head (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    seq bigint NOT NULL,
    hash text NOT NULL
);
COMMENT ON TABLE audit_head IS
    'llmops.platform: end of the audit log; whoever appends to it holds this one row until the commit';
COMMENT ON COLUMN audit_head.singleton IS 'keeps it to one row';
COMMENT ON COLUMN audit_head.seq IS 'seq of the last row of audit_log, 0 if there is none';
COMMENT ON COLUMN audit_head.hash IS 'hash of the last row of audit_log, 64 zeros if there is none';

INSERT INTO audit_head (seq, hash) VALUES (0, repeat('0', 64));

CREATE FUNCTION registry_actor() RETURNS text LANGUAGE sql STABLE AS
$$
    SELECT coalesce(nullif(current_setting('llmops.actor', true), ''), session_user::text)
$$;
COMMENT ON FUNCTION registry_actor() IS 'llmops.platform: for whom this transaction acts';

CREATE FUNCTION registry_operation() RETURNS uuid LANGUAGE sql STABLE AS
$$
    SELECT nullif(current_setting('llmops.operation', true), '')::uuid
$$;
COMMENT ON FUNCTION registry_operation() IS 'llmops.platform: the operation that this transaction is a part of';

-- Environments are kept apart by groups: a member of llmops_deployer_staging has the rights of
-- llmops_environment_deployer, and may use them for staging. Triggers see to that, not row level security, which
-- would say nothing where it hides a row that a program means to change: decision 0015.
CREATE FUNCTION registry_in_group(p_who name, p_group text) RETURNS boolean LANGUAGE sql STABLE AS
$$
    -- A group that is missing has no members.
    SELECT coalesce(pg_has_role(p_who, to_regrole(quote_ident(p_group))::oid, 'USAGE'), false)
$$;
COMMENT ON FUNCTION registry_in_group(name, text) IS
    'llmops.platform: whether somebody has the rights of a group';

-- In a function with its owner's rights current_user is that owner.
CREATE FUNCTION registry_caller() RETURNS name LANGUAGE sql STABLE AS
$$
    SELECT coalesce(nullif(current_setting('role'), 'none'), session_user)::name
$$;
COMMENT ON FUNCTION registry_caller() IS
    'llmops.platform: who called a function with its owner''s rights: the login user, or what SET ROLE made of it';

CREATE FUNCTION registry_require(p_work text, p_environment text, p_who name DEFAULT registry_caller())
    RETURNS text LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS
$$
BEGIN
    -- Who is no member of the first group has rights from elsewhere, and those are for all environments. Where that
    -- group is gone, or has another name, the groups that were members of it still say whom it concerns.
    IF NOT (registry_in_group(p_who, 'llmops_environment_' || p_work)
            OR to_regrole('llmops_environment_' || p_work) IS NULL AND EXISTS (
                SELECT FROM pg_roles WHERE starts_with(rolname, 'llmops_' || p_work || '_')
                   AND pg_has_role(p_who, oid, 'USAGE')))
       OR registry_in_group(p_who, pg_catalog.format('llmops_%s_%s', p_work, p_environment))
       OR registry_in_group(p_who, 'llmops_' || p_work)
       OR pg_has_role(p_who,
            (SELECT relowner FROM pg_class WHERE oid = 'model_registry_entries'::regclass), 'USAGE') THEN
        RETURN p_environment;
    END IF;
    RAISE insufficient_privilege USING
        MESSAGE = pg_catalog.format('%s may do nothing in %s', p_who,
            coalesce('the environment ' || p_environment, 'the name of no environment')),
        HINT = pg_catalog.format('A member of llmops_%s_%s may, and one of llmops_%s may in all of them.', p_work,
            coalesce(p_environment, 'ENVIRONMENT'), p_work);
END
$$;
COMMENT ON FUNCTION registry_require(text, text, name) IS
    'llmops.platform: returns the environment if somebody may work in it, and fails if not';

-- OLD and NEW both: nobody gives away what is not theirs, nor takes it.
CREATE FUNCTION registry_guard_environment() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT AS
$$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM registry_require('deployer', OLD.deployment_environment, current_user);
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    IF TG_OP = 'INSERT' OR NEW.deployment_environment IS DISTINCT FROM OLD.deployment_environment THEN
        PERFORM registry_require('deployer', NEW.deployment_environment, current_user);
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION registry_guard_environment() IS
    'llmops.platform: refuses rows of environments that the writer is not for';

CREATE TRIGGER model_registry_entries_guard_environment
    BEFORE INSERT OR UPDATE OR DELETE ON model_registry_entries
    FOR EACH ROW EXECUTE FUNCTION registry_guard_environment();

CREATE FUNCTION audit_text(entry audit_log) RETURNS text LANGUAGE sql STABLE AS
$$
    SELECT entry.seq || ' ' || pg_catalog.jsonb_build_array(
        to_char(entry.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        entry.actor, entry.db_user, entry.action, entry.model_name, entry.deployment_environment,
        entry.operation_id, entry.detail, entry.previous_hash)
$$;
COMMENT ON FUNCTION audit_text(audit_log) IS
    'llmops.platform: the text that the hash of a row is made of, the same whatever the settings of a session';

-- For triggers only; programs use audit_append.
CREATE FUNCTION audit_write(
    p_action text, p_model text, p_environment text, p_operation_id uuid, p_detail jsonb
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS
$$
DECLARE
    head audit_head;
    entry audit_log;
BEGIN
    -- Writers take turns from here to their commit.
    SELECT * INTO STRICT head FROM audit_head FOR UPDATE;
    entry.seq := head.seq + 1;
    -- Not now(): a transaction that waited for its turn began before the one that it follows.
    entry.occurred_at := clock_timestamp();
    entry.actor := registry_actor();
    entry.db_user := session_user;
    entry.action := p_action;
    entry.model_name := p_model;
    entry.deployment_environment := p_environment;
    entry.operation_id := coalesce(p_operation_id, registry_operation());
    entry.detail := coalesce(p_detail, '{}');
    entry.previous_hash := head.hash;
    entry.hash := encode(sha256(convert_to(audit_text(entry), 'UTF8')), 'hex');
    INSERT INTO audit_log SELECT entry.*;
    UPDATE audit_head SET seq = entry.seq, hash = entry.hash;
    RETURN entry.seq;
END
$$;
COMMENT ON FUNCTION audit_write(text, text, text, uuid, jsonb) IS
    'llmops.platform: appends a sealed row to audit_log; for the triggers of the schema';
REVOKE ALL ON FUNCTION audit_write(text, text, text, uuid, jsonb) FROM PUBLIC;

CREATE FUNCTION audit_append(
    action text, model text, environment text, operation_id uuid, detail jsonb
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS
$$
BEGIN
    IF action !~ '^[a-z_]+(\.[a-z_]+)+$' THEN
        RAISE EXCEPTION 'action % is not of the form noun.verb', quote_nullable(action);
    END IF;
    IF split_part(action, '.', 1) IN (
        'entry', 'operation', 'manifest', 'approval', 'lock', 'health_check_rules') THEN
        RAISE EXCEPTION 'action % is written by a trigger when it happens, and by nobody else', action;
    END IF;
    PERFORM registry_require('deployer', environment);
    RETURN audit_write(action, model, environment, operation_id, detail);
END
$$;
COMMENT ON FUNCTION audit_append(text, text, text, uuid, jsonb) IS
    'llmops.platform: appends a sealed row to audit_log and returns its seq';
REVOKE ALL ON FUNCTION audit_append(text, text, text, uuid, jsonb) FROM PUBLIC;

CREATE FUNCTION registry_refuse_rewriting() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT AS
$$
BEGIN
    RAISE EXCEPTION '% of % is refused: its rows are written once and kept', TG_OP, TG_TABLE_NAME;
END
$$;
COMMENT ON FUNCTION registry_refuse_rewriting() IS 'llmops.platform: keeps a table append-only, for everybody';

CREATE TRIGGER audit_log_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION registry_refuse_rewriting();
