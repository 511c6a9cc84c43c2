DROP TABLE operation_steps;
DROP FUNCTION operation_steps_guard_environment();
DROP TABLE operations;
DROP FUNCTION operations_end_once();
DROP FUNCTION operations_audit();
