-- What routers read and report. They use the views and functions of this file and nothing else, so tables may
-- change behind them.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE VIEW routable_models AS
    SELECT model_name, deployment_environment, deployment_endpoint, row_version
      FROM model_registry_entries
     WHERE deployment_environment IS NOT NULL
       AND deployment_status = 'ready' AND desired_state = 'enabled';
COMMENT ON VIEW routable_models IS 'llmops.platform: targets that requests may be sent to';

CREATE VIEW model_states AS
    SELECT model_name, deployment_environment, deployment_status, desired_state, deployment_endpoint, row_version
      FROM model_registry_entries
     WHERE deployment_environment IS NOT NULL;
COMMENT ON VIEW model_states IS 'llmops.platform: all targets, so that a router can say why a model has no route';

CREATE TABLE router_instances (
    instance text PRIMARY KEY CHECK (instance <> '' AND length(instance) <= 253),
    environment text NOT NULL CHECK (environment ~ '^[a-z0-9]([-a-z0-9]{0,28}[a-z0-9])?$'),
    registry_id uuid,
    epoch bigint,
    in_flight jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(in_flight) = 'object'),
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE router_instances IS 'llmops.platform: routers that reported, and which epoch they route by';
COMMENT ON COLUMN router_instances.instance IS 'name of the process, such as that of its pod';
COMMENT ON COLUMN router_instances.environment IS 'environment that it routes for';
COMMENT ON COLUMN router_instances.registry_id IS 'registry that its routes come from, null if it has none yet';
COMMENT ON COLUMN router_instances.epoch IS 'epoch that its routes come from, null if it has none yet';
COMMENT ON COLUMN router_instances.in_flight IS 'number of requests that are being answered, by model';
COMMENT ON COLUMN router_instances.started_at IS 'when it reported first, by the clock of the database';
COMMENT ON COLUMN router_instances.seen_at IS 'when it reported last, by the clock of the database';

-- A router that is ahead proves that changes were lost. What it routes by is not this registry's picture: it
-- counts as having none, and learns of a new epoch, so that it reads everything. One report leads past that
-- router's epoch, also over several promotions: another router may have had those in between for something
-- else. No router can use up the numbers, which all environments share: sixteen promotions are the most that a
-- report leads past, once in ten seconds, and the upper half of the numbers is for changes alone.
CREATE FUNCTION router_heartbeat(
    p_instance text, p_environment text, p_registry_id uuid, p_epoch bigint, p_in_flight jsonb
) RETURNS TABLE (registry_id uuid, epoch bigint)
    LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS
$$
    WITH outrun AS (
        UPDATE registry_epoch AS known
           -- The sum is made before it is known that it is none too large.
           SET epoch = least(p_epoch, 9223372036854775806) + 1, changed_at = clock_timestamp(), outrun_at = clock_timestamp()
         WHERE known.registry_id = p_registry_id AND known.epoch < p_epoch
           AND p_epoch <= known.epoch + (1::bigint << 36) AND known.epoch < (1::bigint << 62)
           AND coalesce(known.outrun_at < clock_timestamp() - interval '10 s', true)
        RETURNING known.registry_id, known.epoch
    ), reported AS (
        INSERT INTO router_instances AS known (instance, environment, registry_id, epoch, in_flight)
        VALUES (p_instance, registry_require('router', p_environment), p_registry_id,
                CASE WHEN NOT EXISTS (SELECT FROM registry_epoch AS known
                    WHERE known.registry_id = p_registry_id AND known.epoch < p_epoch) THEN p_epoch END, coalesce(p_in_flight, '{}'))
        ON CONFLICT (instance) DO UPDATE SET
            environment = excluded.environment,
            registry_id = excluded.registry_id,
            epoch = excluded.epoch,
            in_flight = excluded.in_flight,
            seen_at = clock_timestamp()
        -- Nor does one of another environment take the place of one that somebody waits for.
        WHERE registry_require('router', known.environment) IS NOT NULL
    ), forgotten AS (
        -- Those that went away without a word, long after anybody waits for them.
        DELETE FROM router_instances WHERE seen_at < now() - interval '1 day' AND instance <> p_instance
    )
    SELECT outrun.registry_id, outrun.epoch FROM outrun
    UNION ALL
    SELECT known.registry_id, known.epoch FROM registry_epoch AS known WHERE NOT EXISTS (SELECT FROM outrun)
$$;
COMMENT ON FUNCTION router_heartbeat(text, text, uuid, bigint, jsonb) IS
    'llmops.platform: a router reports that it lives and what it routes by, and learns the present epoch';
REVOKE ALL ON FUNCTION router_heartbeat(text, text, uuid, bigint, jsonb) FROM PUBLIC;

CREATE FUNCTION router_goodbye(p_instance text) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS
$$
    DELETE FROM router_instances
     WHERE CASE WHEN instance = p_instance THEN registry_require('router', environment) IS NOT NULL END
$$;
COMMENT ON FUNCTION router_goodbye(text) IS
    'llmops.platform: a router ends and routes nothing any more, so that nobody waits for it';
REVOKE ALL ON FUNCTION router_goodbye(text) FROM PUBLIC;
