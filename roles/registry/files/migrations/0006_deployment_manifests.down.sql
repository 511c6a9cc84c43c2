DROP TABLE deployment_manifests;
DROP FUNCTION deployment_manifests_audit();
