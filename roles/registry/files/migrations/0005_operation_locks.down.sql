DROP TABLE operation_locks;
DROP FUNCTION operation_locks_audit();
DROP FUNCTION operation_locks_guard();
