SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE INDEX model_registry_entries_health
    ON model_registry_entries (last_health_check_at NULLS FIRST)
    WHERE deployment_environment IS NOT NULL;

CREATE OR REPLACE FUNCTION registry_grant_rights() RETURNS void
    LANGUAGE plpgsql SET search_path FROM CURRENT AS
$$
DECLARE
    place CONSTANT text := current_schema();
    given record;
BEGIN
    FOR given IN
        SELECT rolname AS role FROM pg_roles
         WHERE rolname IN ('llmops_deployer', 'llmops_router', 'llmops_health_checker')
    LOOP
        IF NOT has_schema_privilege(given.role, place, 'USAGE') THEN
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', place, given.role);
        END IF;
        IF has_schema_privilege(given.role, place, 'CREATE') THEN
            RAISE WARNING 'The database role % may create objects in schema %. Its owner should take that away:'
                ' REVOKE CREATE ON SCHEMA % FROM PUBLIC', given.role, place, place;
        END IF;
    END LOOP;

    FOR given IN
        SELECT role, rights, unnest(objects) AS object FROM (VALUES
            ('llmops_deployer', 'SELECT', ARRAY[
                'registry_schema_migrations', 'model_registry_entries', 'model_registry_history',
                'registry_epoch', 'audit_log', 'audit_head', 'operations', 'operation_steps',
                'operation_locks', 'deployment_manifests', 'router_instances', 'health_checks',
                'service_leases', 'routable_models', 'model_states', 'health_states']),
            ('llmops_deployer', 'INSERT, UPDATE, DELETE', ARRAY['model_registry_entries']),
            ('llmops_deployer', 'INSERT, UPDATE', ARRAY['operations', 'operation_steps', 'operation_locks']),
            ('llmops_deployer', 'INSERT', ARRAY['deployment_manifests']),
            ('llmops_deployer', 'EXECUTE', ARRAY['audit_append']),
            ('llmops_router', 'SELECT', ARRAY['routable_models', 'model_states', 'registry_epoch']),
            ('llmops_router', 'EXECUTE', ARRAY['router_heartbeat', 'router_goodbye']),
            ('llmops_health_checker', 'SELECT', ARRAY['model_states', 'health_states']),
            ('llmops_health_checker', 'EXECUTE', ARRAY[
                'record_health_check', 'acquire_lease', 'release_lease'])
        ) AS rights (role, rights, objects)
        UNION ALL
        -- An older table may number its rows by a sequence.
        SELECT 'llmops_deployer', 'USAGE', format('SEQUENCE %s', objid::regclass)
          FROM pg_depend
         WHERE refobjid = 'model_registry_entries'::regclass AND deptype = 'a' AND classid = 'pg_class'::regclass
           AND objid IN (SELECT oid FROM pg_class WHERE relkind = 'S')
    LOOP
        CONTINUE WHEN NOT EXISTS (SELECT FROM pg_roles WHERE rolname = given.role);
        EXECUTE format('GRANT %s ON %s%s TO %I', given.rights,
            CASE given.rights WHEN 'EXECUTE' THEN 'FUNCTION ' ELSE '' END, given.object, given.role);
    END LOOP;
END
$$;

DO $$
BEGIN
    -- Takes the rights to single columns away too.
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'llmops_deployer') THEN
        REVOKE UPDATE ON operations, operation_steps FROM llmops_deployer;
    END IF;
END
$$;
SELECT registry_grant_rights();

GRANT EXECUTE ON FUNCTION model_registry_history_audit() TO PUBLIC;
GRANT EXECUTE ON FUNCTION model_registry_entries_record() TO PUBLIC;
GRANT EXECUTE ON FUNCTION model_registry_entries_keep_from_truncate() TO PUBLIC;
GRANT EXECUTE ON FUNCTION operations_audit() TO PUBLIC;
GRANT EXECUTE ON FUNCTION operation_locks_audit() TO PUBLIC;
GRANT EXECUTE ON FUNCTION deployment_manifests_audit() TO PUBLIC;
GRANT EXECUTE ON FUNCTION model_registry_entries_forget_health() TO PUBLIC;
