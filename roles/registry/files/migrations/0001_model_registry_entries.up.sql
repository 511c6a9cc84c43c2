-- One row for each (model, environment): what is deployed where, and whether routers may send requests there.
--
-- The platform may have this table already. Then its columns, its rows and its own rules stay as they are,
-- and the missing columns are added. Rows of the older table have no deployment_environment: they are no
-- targets of this collection, which never reads or changes them.
--
-- What the operator wants (desired_state) stands apart from what is the case (deployment_status): a new
-- deployment writes the status, and never routes to a model that a person disabled.

CREATE TABLE IF NOT EXISTS model_registry_entries ();

DO $$
DECLARE
    -- Comments that begin with this mark what this migration added: the way down removes that and no more.
    mark CONSTANT text := 'llmops.platform: ';
    entry CONSTANT regclass := 'model_registry_entries'::regclass;
    is_new boolean;
    wanted record;
    present text;
BEGIN
    is_new := NOT EXISTS (
        SELECT FROM pg_attribute WHERE attrelid = entry AND attnum > 0 AND NOT attisdropped);
    IF is_new THEN
        EXECUTE 'ALTER TABLE model_registry_entries'
                ' ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY';
        EXECUTE format('COMMENT ON COLUMN model_registry_entries.id IS %L', mark || 'surrogate key');
        EXECUTE format('COMMENT ON TABLE model_registry_entries IS %L',
            mark || 'one row for each (model, environment); routers read the ready ones');
    END IF;

    -- "accepted" lists the types that an older column of that name may have: none, where it would mean
    -- something else.
    FOR wanted IN
        SELECT * FROM (VALUES
            ('model_name', 'text', '{text,varchar,citext}',
             'the name that clients put into the model field of a request'),
            ('deployment_environment', 'text', '{text,varchar,citext}',
             'where it runs, such as staging or prod-eu'),
            ('deployment_status', 'text', '{text,varchar,citext}',
             'pending, deploying, ready, degraded, draining, disabled or failed; routers use ready only'),
            ('desired_state', $type$text NOT NULL DEFAULT 'enabled'$type$, '{}',
             'enabled or disabled, as the operator wants it; no deployment changes it'),
            ('deployment_endpoint', 'text', '{text,varchar,citext}',
             'base URL of the model server, without /v1'),
            ('deployment_namespace', 'text', '{text,varchar,citext}',
             'Kubernetes namespace of the release'),
            ('last_health_check_at', 'timestamptz', '{timestamptz}',
             'when the endpoint last answered a check well, by the clock of the database'),
            ('release_name', 'text', '{text,varchar,citext}', 'Helm release'),
            ('release_revision', 'integer', '{int2,int4,int8}', 'revision of the Helm release'),
            ('manifest_digest', 'text', '{text,varchar,citext}', 'SHA-256 of the rendered manifest'),
            ('chart_version', 'text', '{text,varchar,citext}', 'version of the Helm chart'),
            ('image', 'text', '{text,varchar,citext}', 'container image of the model server'),
            ('model_source', 'text', '{text,varchar,citext}',
             'where the weights come from: repository, bucket or path'),
            ('model_revision', 'text', '{text,varchar,citext}', 'commit or tag of the weights'),
            ('status_reason', 'text', '{text,varchar,citext}', 'why the entry has its status'),
            ('created_at', 'timestamptz NOT NULL DEFAULT now()', '{timestamptz,timestamp}',
             'when the row was written first'),
            ('updated_at', 'timestamptz NOT NULL DEFAULT now()', '{timestamptz,timestamp}',
             'when the row was changed last, health checks left aside'),
            ('updated_by', 'text', '{text,varchar,citext}', 'who changed the row last'),
            ('row_version', 'bigint NOT NULL DEFAULT 1', '{int8}',
             'grows with every change; whoever changes a row names the version that they saw')
        ) AS columns (name, definition, accepted, meaning)
    LOOP
        SELECT t.typname INTO present
          FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
         WHERE a.attrelid = entry AND a.attname = wanted.name AND NOT a.attisdropped;
        IF NOT FOUND THEN
            EXECUTE format('ALTER TABLE model_registry_entries ADD COLUMN %I %s', wanted.name, wanted.definition);
            EXECUTE format('COMMENT ON COLUMN model_registry_entries.%I IS %L',
                wanted.name, mark || wanted.meaning);
        ELSIF present <> ALL (wanted.accepted::text[]) THEN
            RAISE EXCEPTION 'model_registry_entries.% %', wanted.name,
                CASE wanted.accepted
                    WHEN '{}' THEN 'is a column of another meaning'
                    ELSE format('has type %s, but %s is needed',
                        present, split_part(wanted.definition, ' ', 1))
                END
                USING HINT = format('Rename the older column: ALTER TABLE model_registry_entries '
                    'RENAME COLUMN %1$I TO platform_%1$s', wanted.name);
        END IF;
    END LOOP;

    -- Rules hold for every row written from now on. Rows of an older table may break one: they are kept,
    -- and a warning says so.
    FOR wanted IN
        SELECT * FROM (VALUES
            ('model_registry_entries_target_complete',
             'deployment_environment IS NULL OR (model_name IS NOT NULL AND deployment_status IS NOT NULL)'),
            ('model_registry_entries_model_name_shape',
             $rule$deployment_environment IS NULL OR (model_name <> '' AND length(model_name) <= 512)$rule$),
            ('model_registry_entries_environment_shape',
             $rule$deployment_environment ~ '^[a-z0-9]([-a-z0-9]{0,28}[a-z0-9])?$'$rule$),
            ('model_registry_entries_status_known',
             $rule$deployment_status IN
                ('pending', 'deploying', 'ready', 'degraded', 'draining', 'disabled', 'failed')$rule$),
            ('model_registry_entries_desired_state_known',
             $rule$desired_state IN ('enabled', 'disabled')$rule$),
            ('model_registry_entries_disabled_is_not_routed',
             $rule$desired_state = 'enabled' OR deployment_status NOT IN ('ready', 'degraded')$rule$),
            ('model_registry_entries_namespace_shape',
             $rule$deployment_namespace ~ '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$'$rule$),
            ('model_registry_entries_endpoint_shape',
             $rule$deployment_endpoint ~
                '^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~%!$&''()*+,;=:@/-]*)?$'
                AND length(deployment_endpoint) <= 2048$rule$),
            ('model_registry_entries_ready_has_endpoint',
             $rule$deployment_status <> 'ready' OR deployment_environment IS NULL
                OR deployment_endpoint IS NOT NULL$rule$),
            ('model_registry_entries_revision_positive', 'release_revision > 0'),
            ('model_registry_entries_digest_shape',
             $rule$manifest_digest ~ '^(sha256:)?[0-9a-f]{64}$'$rule$)
        ) AS rules (name, condition)
    LOOP
        CONTINUE WHEN EXISTS (
            SELECT FROM pg_constraint WHERE conrelid = entry AND conname = wanted.name);
        EXECUTE format('ALTER TABLE model_registry_entries ADD CONSTRAINT %I CHECK (%s) NOT VALID',
            wanted.name, wanted.condition);
        BEGIN
            EXECUTE format('ALTER TABLE model_registry_entries VALIDATE CONSTRAINT %I', wanted.name);
        EXCEPTION WHEN check_violation THEN
            RAISE WARNING 'Rows of the older table model_registry_entries break the rule %. They are kept;'
                ' a change of such a row is refused until it obeys the rule.', wanted.name;
        END;
    END LOOP;
END
$$;

-- One target, one row. Rows without an environment are all distinct to it.
CREATE UNIQUE INDEX IF NOT EXISTS model_registry_entries_target
    ON model_registry_entries (model_name, deployment_environment);

-- At most one ready entry for a (model, environment), also if the rule of one row a target is ever relaxed;
-- a router finds the endpoint in the index itself.
CREATE UNIQUE INDEX model_registry_entries_ready
    ON model_registry_entries (deployment_environment, model_name) INCLUDE (deployment_endpoint)
    WHERE deployment_status = 'ready' AND deployment_environment IS NOT NULL;

-- For status pages. No index has last_health_check_at: each check of an entry would have to change it, and
-- every other index of the row with it.
CREATE INDEX model_registry_entries_status
    ON model_registry_entries (deployment_environment, deployment_status);
CREATE INDEX model_registry_entries_namespace
    ON model_registry_entries (deployment_namespace);

-- Triggers search here alone, whatever the writer searches.
SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- The one place that keeps row_version, updated_at and updated_by, whoever writes and by whatever program.
--
-- A health check alone is no change of the entry: it would make every deployment that runs at the same time
-- fail with a conflict.
CREATE FUNCTION model_registry_entries_stamp() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT AS
$$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        -- The stamps are not the writer's to set.
        NEW.row_version := OLD.row_version;
        NEW.updated_at := OLD.updated_at;
        NEW.updated_by := OLD.updated_by;
        IF pg_catalog.to_jsonb(NEW) - 'last_health_check_at' = pg_catalog.to_jsonb(OLD) - 'last_health_check_at' THEN
            RETURN NEW;
        END IF;
        NEW.row_version := OLD.row_version + 1;
    ELSE
        NEW.row_version := 1;
    END IF;
    NEW.updated_at := now();
    -- Programs say for whom they act; anybody else acts as the database role of the session.
    NEW.updated_by := coalesce(nullif(current_setting('llmops.actor', true), ''), session_user);
    RETURN NEW;
END
$$;

COMMENT ON FUNCTION model_registry_entries_stamp() IS
    'llmops.platform: stamps rows of model_registry_entries with version, time and author';

CREATE TRIGGER model_registry_entries_stamp
    BEFORE INSERT OR UPDATE ON model_registry_entries
    FOR EACH ROW EXECUTE FUNCTION model_registry_entries_stamp();

-- In an older table the status alone says what the operator wants. A row that breaks a rule cannot be changed:
-- it is kept as it is, and a warning names it.
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
            RAISE WARNING 'The older row of % in % has the status disabled, but desired_state says enabled: %.'
                ' Correct the row, then set desired_state to disabled.',
                disabled.model_name, disabled.deployment_environment, SQLERRM;
        END;
    END LOOP;
END
$$;
