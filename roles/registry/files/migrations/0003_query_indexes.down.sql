DROP INDEX IF EXISTS model_registry_entries_health;
DROP INDEX IF EXISTS model_registry_entries_namespace;
DROP INDEX IF EXISTS model_registry_entries_status;
DROP INDEX IF EXISTS model_registry_entries_ready;
