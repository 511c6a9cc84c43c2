-- The record of operations: one run over a target, and its steps. Nothing is decided by it: a run looks at
-- what is there. It tells people what happened, and which operation a change was a part of.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE TABLE operations (
    id uuid PRIMARY KEY,
    model_name text NOT NULL,
    deployment_environment text NOT NULL
        CHECK (deployment_environment ~ '^[a-z0-9]([-a-z0-9]{0,28}[a-z0-9])?$'),
    kind text NOT NULL CHECK (kind ~ '^[a-z][a-z_]{0,62}$'),
    actor text NOT NULL,
    host text,
    pid integer,
    job text,
    fence bigint NOT NULL CHECK (fence > 0),
    resumes uuid REFERENCES operations,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    outcome text NOT NULL DEFAULT 'running'
        CHECK (outcome IN ('running', 'succeeded', 'failed', 'interrupted', 'rolled_back')),
    error_class text,
    reason text,
    CONSTRAINT operations_finished_or_running CHECK ((outcome = 'running') = (finished_at IS NULL))
);
COMMENT ON TABLE operations IS 'llmops.platform: one run of deploy, rollback, ... over a target';
COMMENT ON COLUMN operations.id IS 'made by the program that starts the operation';
COMMENT ON COLUMN operations.model_name IS 'model of the target';
COMMENT ON COLUMN operations.deployment_environment IS 'environment of the target';
COMMENT ON COLUMN operations.kind IS 'deploy, rollback, remove, ...';
COMMENT ON COLUMN operations.actor IS 'who started it';
COMMENT ON COLUMN operations.host IS 'machine of the program that runs it';
COMMENT ON COLUMN operations.pid IS 'process of the program that runs it';
COMMENT ON COLUMN operations.job IS 'job of the controller (AWX), if there is one';
COMMENT ON COLUMN operations.fence IS 'fence that it got with the lock';
COMMENT ON COLUMN operations.resumes IS 'the interrupted operation that this one goes on with';
COMMENT ON COLUMN operations.started_at IS 'by the clock of the database';
COMMENT ON COLUMN operations.finished_at IS 'by the clock of the database, null while it runs';
COMMENT ON COLUMN operations.outcome IS
    'running, succeeded, failed, interrupted, or rolled_back: a failed change that was undone';
COMMENT ON COLUMN operations.error_class IS 'kind of the failure';
COMMENT ON COLUMN operations.reason IS 'why it failed, was undone or was interrupted';

CREATE INDEX operations_target ON operations (model_name, deployment_environment, started_at DESC);
CREATE INDEX operations_running ON operations (started_at) WHERE outcome = 'running';

CREATE TRIGGER operations_guard_environment
    BEFORE INSERT OR UPDATE OR DELETE ON operations
    FOR EACH ROW EXECUTE FUNCTION registry_guard_environment();

-- Who comes late, with another end or with the same, changes nothing of what is on record.
CREATE FUNCTION operations_end_once() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT AS
$$
BEGIN
    RAISE EXCEPTION 'operation % has ended: it %', OLD.id, OLD.outcome;
END
$$;
COMMENT ON FUNCTION operations_end_once() IS 'llmops.platform: refuses to change an operation that has ended';

CREATE TRIGGER operations_end_once
    BEFORE UPDATE ON operations
    FOR EACH ROW WHEN (OLD.outcome <> 'running')
    EXECUTE FUNCTION operations_end_once();

CREATE TABLE operation_steps (
    operation_id uuid NOT NULL REFERENCES operations,
    number integer NOT NULL CHECK (number > 0),
    name text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    outcome text NOT NULL DEFAULT 'running' CHECK (outcome IN ('running', 'succeeded', 'failed')),
    error_class text,
    reason text,
    detail jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (operation_id, number),
    CONSTRAINT operation_steps_finished_or_running CHECK ((outcome = 'running') = (finished_at IS NULL))
);
COMMENT ON TABLE operation_steps IS 'llmops.platform: steps of an operation, each written before it is taken';
COMMENT ON COLUMN operation_steps.operation_id IS 'the operation';
COMMENT ON COLUMN operation_steps.number IS 'order of the steps, from 1';
COMMENT ON COLUMN operation_steps.name IS 'what the step does';
COMMENT ON COLUMN operation_steps.started_at IS 'by the clock of the database';
COMMENT ON COLUMN operation_steps.finished_at IS 'by the clock of the database, null while it runs';
COMMENT ON COLUMN operation_steps.outcome IS 'running, succeeded or failed';
COMMENT ON COLUMN operation_steps.error_class IS 'kind of the failure';
COMMENT ON COLUMN operation_steps.reason IS 'why it failed';
COMMENT ON COLUMN operation_steps.detail IS 'what it did, for people';

-- A step belongs where its operation does. One without an operation fails for want of it, or here.
CREATE FUNCTION operation_steps_guard_environment() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT AS
$$
DECLARE
    operation uuid;
BEGIN
    FOREACH operation IN ARRAY
        CASE TG_OP WHEN 'INSERT' THEN ARRAY[NEW.operation_id] ELSE ARRAY[OLD.operation_id, NEW.operation_id] END
    LOOP
        PERFORM registry_require('deployer',
            (SELECT deployment_environment FROM operations WHERE id = operation), current_user);
    END LOOP;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION operation_steps_guard_environment() IS
    'llmops.platform: refuses steps of operations in environments that the writer is not for';

CREATE TRIGGER operation_steps_guard_environment
    BEFORE INSERT OR UPDATE ON operation_steps
    FOR EACH ROW EXECUTE FUNCTION operation_steps_guard_environment();

CREATE FUNCTION operations_audit() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS
$$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM audit_write('operation.started', NEW.model_name, NEW.deployment_environment, NEW.id,
            jsonb_strip_nulls(pg_catalog.jsonb_build_object('kind', NEW.kind, 'fence', NEW.fence, 'host', NEW.host,
                'job', NEW.job, 'resumes', NEW.resumes)));
    ELSIF NEW.outcome <> OLD.outcome THEN
        PERFORM audit_write('operation.' || NEW.outcome, NEW.model_name, NEW.deployment_environment, NEW.id,
            jsonb_strip_nulls(pg_catalog.jsonb_build_object('kind', NEW.kind, 'error_class', NEW.error_class,
                'reason', NEW.reason)));
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION operations_audit() IS 'llmops.platform: notes the start and the end of an operation';
REVOKE ALL ON FUNCTION operations_audit() FROM PUBLIC;

CREATE CONSTRAINT TRIGGER operations_audit
    AFTER INSERT OR UPDATE ON operations DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION operations_audit();
