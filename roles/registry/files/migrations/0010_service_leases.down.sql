DROP FUNCTION release_lease(text, text);
DROP FUNCTION acquire_lease(text, text, double precision);
DROP FUNCTION service_lease_environment(text);
DROP TABLE service_leases;
