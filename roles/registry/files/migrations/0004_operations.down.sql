DROP TABLE operation_steps;
DROP TABLE operations;
DROP FUNCTION operations_audit();
