-- One writer a target. A lock ends by itself at expires_at, by the clock of the database; whoever takes it gets
-- a fence that is higher than all before, so that a holder who slept through the end of their lock is found out.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE TABLE operation_locks (
    model_name text NOT NULL,
    deployment_environment text NOT NULL
        CHECK (deployment_environment ~ '^[a-z0-9]([-a-z0-9]{0,28}[a-z0-9])?$'),
    fence bigint NOT NULL DEFAULT 1 CHECK (fence > 0),
    operation_id uuid,
    holder text,
    host text,
    pid integer,
    process_started text,
    watched boolean NOT NULL DEFAULT false,
    ttl_s double precision NOT NULL DEFAULT 60 CHECK (ttl_s > 0),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (model_name, deployment_environment)
);
COMMENT ON TABLE operation_locks IS
    'llmops.platform: who may change a target; free where operation_id is null or expires_at has passed';
COMMENT ON COLUMN operation_locks.model_name IS 'model of the target';
COMMENT ON COLUMN operation_locks.deployment_environment IS 'environment of the target';
COMMENT ON COLUMN operation_locks.fence IS 'grows each time that the lock is taken, and never shrinks';
COMMENT ON COLUMN operation_locks.operation_id IS 'operation that holds the lock';
COMMENT ON COLUMN operation_locks.holder IS 'who holds it';
COMMENT ON COLUMN operation_locks.host IS 'machine of the holder';
COMMENT ON COLUMN operation_locks.pid IS 'process of the holder';
COMMENT ON COLUMN operation_locks.process_started IS
    'when that process started; numbers of processes are used again';
-- So the server itself sees a holder's process die, wherever it ran, and nobody waits for the end of its lock.
COMMENT ON COLUMN operation_locks.watched IS
    'the holder has an advisory lock on hashtextextended(operation_id, 0) for as long as its session lives';
COMMENT ON COLUMN operation_locks.ttl_s IS 'how long the lock lasts from each renewal, in seconds';
COMMENT ON COLUMN operation_locks.expires_at IS 'by the clock of the database';

CREATE FUNCTION operation_locks_guard() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT AS
$$
BEGIN
    IF NEW.fence < OLD.fence THEN
        RAISE EXCEPTION 'the fence of a lock never shrinks: % after %', NEW.fence, OLD.fence;
    END IF;
    IF NEW.operation_id IS NOT NULL AND NEW.operation_id IS DISTINCT FROM OLD.operation_id
       AND NEW.fence = OLD.fence THEN
        RAISE EXCEPTION 'whoever takes a lock raises its fence: it is still %', OLD.fence;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION operation_locks_guard() IS 'llmops.platform: sees to it that fences only grow';

CREATE TRIGGER operation_locks_guard
    BEFORE UPDATE ON operation_locks
    FOR EACH ROW EXECUTE FUNCTION operation_locks_guard();

CREATE TRIGGER operation_locks_guard_environment
    BEFORE INSERT OR UPDATE OR DELETE ON operation_locks
    FOR EACH ROW EXECUTE FUNCTION registry_guard_environment();

CREATE FUNCTION operation_locks_audit() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET timezone TO 'UTC' AS
$$
BEGIN
    -- Taken from an operation that still held it, by somebody who is not that operation.
    IF OLD.operation_id IS DISTINCT FROM NEW.operation_id AND OLD.expires_at > clock_timestamp()
       AND OLD.operation_id IS DISTINCT FROM registry_operation() THEN
        PERFORM audit_write('lock.forced', OLD.model_name, OLD.deployment_environment, OLD.operation_id,
            pg_catalog.jsonb_build_object('holder', OLD.holder, 'host', OLD.host, 'fence', OLD.fence,
                'expires_at', OLD.expires_at));
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION operation_locks_audit() IS 'llmops.platform: notes each lock that was taken from its holder';
REVOKE ALL ON FUNCTION operation_locks_audit() FROM PUBLIC;

CREATE CONSTRAINT TRIGGER operation_locks_audit
    AFTER UPDATE ON operation_locks DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (OLD.operation_id IS NOT NULL)
    EXECUTE FUNCTION operation_locks_audit();

-- A row that went away would take its fence with it.
CREATE TRIGGER operation_locks_are_kept
    BEFORE DELETE OR TRUNCATE ON operation_locks
    FOR EACH STATEMENT EXECUTE FUNCTION registry_refuse_rewriting();
