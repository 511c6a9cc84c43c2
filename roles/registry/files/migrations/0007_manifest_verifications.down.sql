DROP TABLE manifest_verifications;
DROP FUNCTION manifest_verifications_audit();
