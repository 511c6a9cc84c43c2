-- Takes the rights away that the roles have in this schema. The roles stay: other databases of the server may
-- use them, and login users are members of them.

DO $$
DECLARE
    granted record;
BEGIN
    FOR granted IN
        WITH roles AS (
            SELECT oid, rolname FROM pg_roles
             WHERE rolname ~ '^llmops_(environment_)?(deployer|router|health_checker)$')
        SELECT DISTINCT 'TABLE ' || c.oid::regclass AS object, r.rolname AS role
          FROM pg_class c, aclexplode(c.relacl) a JOIN roles r ON r.oid = a.grantee
         WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind <> 'S'
        UNION
        SELECT 'SEQUENCE ' || c.oid::regclass, r.rolname
          FROM pg_class c, aclexplode(c.relacl) a JOIN roles r ON r.oid = a.grantee
         WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'S'
        UNION
        SELECT 'FUNCTION ' || p.oid::regprocedure, r.rolname
          FROM pg_proc p, aclexplode(p.proacl) a JOIN roles r ON r.oid = a.grantee
         WHERE p.pronamespace = current_schema()::regnamespace
        UNION
        SELECT 'SCHEMA ' || quote_ident(n.nspname), r.rolname
          FROM pg_namespace n, aclexplode(n.nspacl) a JOIN roles r ON r.oid = a.grantee
         WHERE n.oid = current_schema()::regnamespace
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %I', granted.object, granted.role);
    END LOOP;
END
$$;

DROP FUNCTION registry_grant_rights();
