SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE OR REPLACE FUNCTION router_heartbeat(
    p_instance text, p_environment text, p_registry_id uuid, p_epoch bigint, p_in_flight jsonb
) RETURNS TABLE (registry_id uuid, epoch bigint)
    LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS
$$
    WITH reported AS (
        INSERT INTO router_instances AS known (instance, environment, registry_id, epoch, in_flight)
        VALUES (p_instance, p_environment, p_registry_id, p_epoch, coalesce(p_in_flight, '{}'))
        ON CONFLICT (instance) DO UPDATE SET
            environment = excluded.environment,
            registry_id = excluded.registry_id,
            epoch = excluded.epoch,
            in_flight = excluded.in_flight,
            seen_at = clock_timestamp()
    ), forgotten AS (
        -- Those that went away without a word, long after anybody waits for them.
        DELETE FROM router_instances WHERE seen_at < now() - interval '1 day' AND instance <> p_instance
    )
    SELECT now_at.registry_id, now_at.epoch FROM registry_epoch AS now_at
$$;

DROP TRIGGER registry_epoch_outruns_lost_commits ON registry_epoch;
DROP FUNCTION registry_epoch_outruns_lost_commits();
