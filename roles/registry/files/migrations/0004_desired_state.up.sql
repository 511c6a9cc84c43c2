-- What the operator wants, apart from what is the case: a new deployment writes the status, and never routes
-- to a model that a person disabled.

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'model_registry_entries'::regclass
                AND attname = 'desired_state' AND NOT attisdropped) THEN
        RAISE EXCEPTION 'model_registry_entries has a column desired_state of another meaning'
            USING HINT = 'Rename it: ALTER TABLE model_registry_entries'
                         ' RENAME COLUMN desired_state TO platform_desired_state';
    END IF;
END
$$;

ALTER TABLE model_registry_entries
    ADD COLUMN desired_state text NOT NULL DEFAULT 'enabled',
    ADD CONSTRAINT model_registry_entries_desired_state_known
        CHECK (desired_state IN ('enabled', 'disabled')),
    ADD CONSTRAINT model_registry_entries_disabled_is_not_routed
        CHECK (desired_state = 'enabled' OR deployment_status NOT IN ('ready', 'degraded'));

COMMENT ON COLUMN model_registry_entries.desired_state IS
    'llmops.platform: enabled or disabled, as the operator wants it; no deployment changes it';

-- Until now the status alone said it. A row of an older table that breaks a rule of 0001 cannot be changed: it is
-- kept as it is, and a warning names it.
DO $$
DECLARE
    disabled record;
BEGIN
    FOR disabled IN
        SELECT ctid AS place, model_name, deployment_environment FROM model_registry_entries
         WHERE deployment_status = 'disabled' AND deployment_environment IS NOT NULL
    LOOP
        BEGIN
            UPDATE model_registry_entries SET desired_state = 'disabled' WHERE ctid = disabled.place;
        EXCEPTION WHEN check_violation THEN
            RAISE WARNING 'The older row of % in % has the status disabled, but not the wish: %. Correct the row,'
                ' then set desired_state to disabled.',
                disabled.model_name, disabled.deployment_environment, SQLERRM;
        END;
    END LOOP;
END
$$;
