DROP FUNCTION audit_append(text, text, text, uuid, jsonb);
DROP FUNCTION audit_write(text, text, text, uuid, jsonb);
DROP FUNCTION audit_text(audit_log);
DROP TABLE audit_log;
DROP TABLE audit_head;
DROP FUNCTION registry_refuse_rewriting();
DROP FUNCTION registry_operation();
DROP FUNCTION registry_actor();
