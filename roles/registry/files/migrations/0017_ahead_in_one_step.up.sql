-- The report of a router that is ahead made the registry's epoch grow by one only: it took as many reports as
-- epochs were lost, and the registry came to an epoch that another router had had for something else. Now one
-- report is enough, also over several promotions. It is bounded, so that no report uses up all numbers.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE OR REPLACE FUNCTION router_heartbeat(
    p_instance text, p_environment text, p_registry_id uuid, p_epoch bigint, p_in_flight jsonb
) RETURNS TABLE (registry_id uuid, epoch bigint)
    LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS
$$
    WITH outrun AS (
        UPDATE registry_epoch AS known
           SET epoch = least(p_epoch, known.epoch + (1::bigint << 44), 1::bigint << 62) + 1,
               changed_at = clock_timestamp()
         WHERE known.registry_id = p_registry_id AND known.epoch < p_epoch
        RETURNING known.registry_id, known.epoch
    ), reported AS (
        INSERT INTO router_instances AS known (instance, environment, registry_id, epoch, in_flight)
        VALUES (p_instance, p_environment, p_registry_id,
                CASE WHEN NOT EXISTS (SELECT FROM outrun) THEN p_epoch END, coalesce(p_in_flight, '{}'))
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
    SELECT outrun.registry_id, outrun.epoch FROM outrun
    UNION ALL
    SELECT known.registry_id, known.epoch FROM registry_epoch AS known WHERE NOT EXISTS (SELECT FROM outrun)
$$;
