DROP TRIGGER IF EXISTS model_registry_entries_stamp ON model_registry_entries;
DROP FUNCTION IF EXISTS model_registry_entries_stamp();
