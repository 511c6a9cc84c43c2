DROP FUNCTION release_lease(text, text);
DROP FUNCTION acquire_lease(text, text, double precision);
DROP TABLE service_leases;
