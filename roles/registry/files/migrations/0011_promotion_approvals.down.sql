DROP TABLE promotion_approvals;
DROP FUNCTION promotion_approvals_audit();
DROP FUNCTION promotion_approvals_judge();
DROP FUNCTION promotion_approvals_take_turns(text, text);
DROP FUNCTION registry_identity(text);
