DROP FUNCTION record_health_check(text, text, bigint, boolean, double precision, text, integer, integer);
DROP TRIGGER model_registry_entries_forget_health ON model_registry_entries;
DROP FUNCTION model_registry_entries_forget_health();
DROP VIEW health_states;
DROP TABLE health_checks;
