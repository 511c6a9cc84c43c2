-- Removes what the way up added. A table that the platform had before keeps its own columns and all its rows.

DROP TRIGGER model_registry_entries_stamp ON model_registry_entries;
DROP FUNCTION model_registry_entries_stamp();

DO $$
DECLARE
    mark CONSTANT text := 'llmops.platform: ';
    entry CONSTANT regclass := 'model_registry_entries'::regclass;
    added record;
BEGIN
    IF starts_with(coalesce(obj_description(entry, 'pg_class'), ''), mark) THEN
        DROP TABLE model_registry_entries;
        RETURN;
    END IF;

    DROP INDEX IF EXISTS model_registry_entries_namespace;
    DROP INDEX IF EXISTS model_registry_entries_status;
    DROP INDEX IF EXISTS model_registry_entries_ready;
    DROP INDEX IF EXISTS model_registry_entries_target;
    FOR added IN
        SELECT unnest(ARRAY[
            'model_registry_entries_target_complete',
            'model_registry_entries_model_name_shape',
            'model_registry_entries_environment_shape',
            'model_registry_entries_status_known',
            'model_registry_entries_desired_state_known',
            'model_registry_entries_disabled_is_not_routed',
            'model_registry_entries_namespace_shape',
            'model_registry_entries_endpoint_shape',
            'model_registry_entries_ready_has_endpoint',
            'model_registry_entries_revision_positive',
            'model_registry_entries_digest_shape']) AS name
    LOOP
        EXECUTE format('ALTER TABLE model_registry_entries DROP CONSTRAINT IF EXISTS %I', added.name);
    END LOOP;
    FOR added IN
        SELECT attname AS name FROM pg_attribute
         WHERE attrelid = entry AND attnum > 0 AND NOT attisdropped
           AND starts_with(coalesce(col_description(entry, attnum), ''), mark)
    LOOP
        EXECUTE format('ALTER TABLE model_registry_entries DROP COLUMN %I', added.name);
    END LOOP;
END
$$;
