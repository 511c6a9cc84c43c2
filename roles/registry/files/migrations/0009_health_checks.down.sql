DROP FUNCTION record_health_check(text, text, bigint, boolean, double precision, text);
DROP FUNCTION health_checks_settle(health_checks, text, text, text);
DROP TRIGGER model_registry_entries_forget_health ON model_registry_entries;
DROP FUNCTION model_registry_entries_forget_health();
DROP VIEW health_states;
DROP TABLE health_checks;
DROP FUNCTION health_check_rules_of(text);
DROP TABLE health_check_rules;
DROP FUNCTION health_check_rules_audit();
