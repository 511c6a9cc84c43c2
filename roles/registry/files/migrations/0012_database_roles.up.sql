-- Groups with the least rights that deployers, routers and health checkers need. Login users become members of
-- them: see docs/database-roles.md. Those of llmops_deployer, llmops_router and llmops_health_checker may use
-- them in all environments. The others give nothing by themselves: the groups of single environments, such as
-- llmops_deployer_staging, are members of them (registry_require).
--
-- Roles belong to the whole server. Other databases on it may have made them already, or do so just now.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['llmops_deployer', 'llmops_router', 'llmops_health_checker',
        'llmops_environment_deployer', 'llmops_environment_router', 'llmops_environment_health_checker']
    LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = wanted);
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN
                NULL;
            WHEN insufficient_privilege THEN
                RAISE WARNING 'The database role % is missing, and % may not create roles. An administrator runs:'
                    ' CREATE ROLE % NOLOGIN; then the owner of the schema: SELECT registry_grant_rights();',
                    wanted, current_user, wanted;
        END;
    END LOOP;
END
$$;

-- A later migration that adds something for one of the roles replaces this function and calls it.
CREATE FUNCTION registry_grant_rights() RETURNS void
    LANGUAGE plpgsql SET search_path FROM CURRENT AS
$$
DECLARE
    place CONSTANT text := current_schema();
    given record;
    -- What numbers and dates a row of ours is the database. An older table has columns that are not for us to judge.
    written CONSTANT text := (
        SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
         WHERE attrelid = 'model_registry_entries'::regclass AND attnum > 0 AND NOT attisdropped
           AND (attname NOT IN ('id', 'created_at') OR NOT starts_with(
                coalesce(obj_description('model_registry_entries'::regclass, 'pg_class'), ''), 'llmops.platform: ')));
BEGIN
    FOR given IN
        SELECT rolname AS role FROM pg_roles
         WHERE rolname ~ '^llmops_(environment_)?(deployer|router|health_checker)$' ORDER BY rolname
    LOOP
        IF NOT has_schema_privilege(given.role, place, 'USAGE') THEN
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', place, given.role);
        END IF;
    END LOOP;

    FOR given IN
        SELECT groups || work AS role, rights, unnest(objects) AS object FROM (VALUES
            ('deployer', 'SELECT', ARRAY[
                'registry_schema_migrations', 'model_registry_entries', 'model_registry_history',
                'registry_epoch', 'audit_log', 'audit_head', 'operations', 'operation_steps',
                'operation_locks', 'deployment_manifests', 'manifest_verifications', 'promotion_approvals',
                'router_instances', 'health_check_rules', 'health_checks', 'service_leases', 'routable_models',
                'model_states', 'health_states']),
            ('deployer', pg_catalog.format('INSERT (%1$s), UPDATE (%1$s), DELETE', written),
                ARRAY['model_registry_entries']),
            ('deployer', 'INSERT, UPDATE', ARRAY['operation_locks']),
            -- How an operation and its steps ended. Who began it, when, and on what, stays as it was written.
            ('deployer', 'INSERT (id, model_name, deployment_environment, kind, actor, host, pid, job, fence, resumes),'
                ' UPDATE (outcome, finished_at, error_class, reason)', ARRAY['operations']),
            ('deployer', 'INSERT (operation_id, number, name),'
                ' UPDATE (outcome, finished_at, error_class, reason, detail)', ARRAY['operation_steps']),
            ('deployer', 'INSERT (model_name, deployment_environment, release_name, release_revision,'
                ' manifest_digest, chart_version, chart_digest, image, image_digest, model_source, model_revision,'
                ' values, values_digest, values_redacted, objects, source_environment, source_digest, operation_id)',
                ARRAY['deployment_manifests']),
            -- When and for whom is for the database to say.
            ('deployer', 'INSERT (model_name, deployment_environment, manifest_digest, verdict, reason,'
                ' evidence, operation_id)', ARRAY['manifest_verifications']),
            ('deployer', 'INSERT (model_name, deployment_environment, source_environment, manifest_digest,'
                ' gate_set_digest, kind, request_id, reason, expires_at)', ARRAY['promotion_approvals']),
            ('deployer', 'INSERT, UPDATE', ARRAY['health_check_rules']),
            ('deployer', 'EXECUTE', ARRAY['audit_append']),
            ('router', 'SELECT', ARRAY['routable_models', 'model_states', 'registry_epoch']),
            ('router', 'EXECUTE', ARRAY['router_heartbeat', 'router_goodbye']),
            ('health_checker', 'SELECT', ARRAY['model_states', 'health_states']),
            ('health_checker', 'EXECUTE', ARRAY[
                'record_health_check', 'acquire_lease', 'release_lease'])
        ) AS rights (work, rights, objects), unnest(ARRAY['llmops_', 'llmops_environment_']) AS groups
        UNION ALL
        -- An older table may number its rows by a sequence.
        SELECT deployers, 'USAGE', format('SEQUENCE %s', objid::regclass)
          FROM pg_depend, unnest(ARRAY['llmops_deployer', 'llmops_environment_deployer']) AS deployers
         WHERE refobjid = 'model_registry_entries'::regclass AND deptype = 'a' AND classid = 'pg_class'::regclass
           AND objid IN (SELECT oid FROM pg_class WHERE relkind = 'S')
    LOOP
        CONTINUE WHEN NOT EXISTS (SELECT FROM pg_roles WHERE rolname = given.role);
        EXECUTE format('GRANT %s ON %s%s TO %I', given.rights,
            CASE given.rights WHEN 'EXECUTE' THEN 'FUNCTION ' ELSE '' END, given.object, given.role);
    END LOOP;
END
$$;
COMMENT ON FUNCTION registry_grant_rights() IS
    'llmops.platform: gives the database roles their rights in this schema; may be called again';
REVOKE ALL ON FUNCTION registry_grant_rights() FROM PUBLIC;

SELECT registry_grant_rights();
