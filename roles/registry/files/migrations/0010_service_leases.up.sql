-- Which replica of a service does the work: the one that holds the lease, for as long as it renews it.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE TABLE service_leases (
    name text PRIMARY KEY CHECK (name <> ''),
    holder text NOT NULL CHECK (holder <> ''),
    fence bigint NOT NULL DEFAULT 1,
    expires_at timestamptz NOT NULL
);
COMMENT ON TABLE service_leases IS 'llmops.platform: which replica of a service does the work';
COMMENT ON COLUMN service_leases.name IS 'the work, such as health-check/staging';
COMMENT ON COLUMN service_leases.holder IS 'replica that holds the lease, or held it last';
COMMENT ON COLUMN service_leases.fence IS 'grows each time that the lease is taken, but not when it is renewed';
COMMENT ON COLUMN service_leases.expires_at IS 'by the clock of the database';

CREATE FUNCTION service_lease_environment(p_name text) RETURNS text LANGUAGE sql IMMUTABLE AS
$$
    SELECT substring(p_name FROM '/([^/]+)$')
$$;
COMMENT ON FUNCTION service_lease_environment(text) IS
    'llmops.platform: the environment that the name of a lease ends with, null if there is none';

CREATE FUNCTION acquire_lease(p_name text, p_holder text, p_ttl_s double precision) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS
$$
DECLARE
    got bigint;
BEGIN
    IF p_ttl_s IS NULL OR p_ttl_s <= 0 OR p_ttl_s > 86400 THEN
        RAISE EXCEPTION 'p_ttl_s: % is no number of seconds up to a day', quote_nullable(p_ttl_s::text);
    END IF;
    PERFORM registry_require('health_checker', service_lease_environment(p_name));
    INSERT INTO service_leases AS lease (name, holder, expires_at)
    VALUES (p_name, p_holder, clock_timestamp() + make_interval(secs => p_ttl_s))
    ON CONFLICT (name) DO UPDATE SET
        holder = p_holder,
        -- An expired lease is taken anew even by the one that had it: somebody may have acted in between.
        fence = lease.fence + (lease.expires_at <= clock_timestamp())::integer,
        expires_at = clock_timestamp() + make_interval(secs => p_ttl_s)
    WHERE lease.holder = p_holder OR lease.expires_at <= clock_timestamp()
    RETURNING fence INTO got;
    RETURN got;
END
$$;
COMMENT ON FUNCTION acquire_lease(text, text, double precision) IS
    'llmops.platform: takes or renews a lease and returns its fence, or null while somebody else holds it';
REVOKE ALL ON FUNCTION acquire_lease(text, text, double precision) FROM PUBLIC;

CREATE FUNCTION release_lease(p_name text, p_holder text) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS
$$
    SELECT registry_require('health_checker', service_lease_environment(p_name));
    UPDATE service_leases SET expires_at = clock_timestamp()
     WHERE name = p_name AND holder = p_holder AND expires_at > clock_timestamp()
$$;
COMMENT ON FUNCTION release_lease(text, text) IS
    'llmops.platform: gives a lease back, so that another replica need not wait for its end';
REVOKE ALL ON FUNCTION release_lease(text, text) FROM PUBLIC;
