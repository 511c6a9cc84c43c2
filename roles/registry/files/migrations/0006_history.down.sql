DROP TRIGGER model_registry_entries_keep_from_truncate ON model_registry_entries;
DROP FUNCTION model_registry_entries_keep_from_truncate();
DROP TRIGGER model_registry_entries_record ON model_registry_entries;
DROP FUNCTION model_registry_entries_record();
DROP FUNCTION registry_record(text, jsonb, jsonb);
DROP FUNCTION registry_differences(jsonb, jsonb);
DROP TABLE model_registry_history;
DROP FUNCTION model_registry_history_audit();
DROP TABLE registry_epoch;
