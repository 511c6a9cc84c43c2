-- Indexes for those who read often: routers (ready entries of one environment, by model), status pages
-- (by environment, status or namespace) and the health checker (longest unchecked first).

-- At most one ready entry for a (model, environment), also if the rule of one row a target is ever relaxed;
-- a router finds the endpoint in the index itself.
CREATE UNIQUE INDEX model_registry_entries_ready
    ON model_registry_entries (deployment_environment, model_name) INCLUDE (deployment_endpoint)
    WHERE deployment_status = 'ready' AND deployment_environment IS NOT NULL;

CREATE INDEX model_registry_entries_status
    ON model_registry_entries (deployment_environment, deployment_status);

CREATE INDEX model_registry_entries_namespace
    ON model_registry_entries (deployment_namespace);

CREATE INDEX model_registry_entries_health
    ON model_registry_entries (last_health_check_at NULLS FIRST)
    WHERE deployment_environment IS NOT NULL;
