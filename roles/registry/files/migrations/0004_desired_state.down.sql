-- The rules on the column go with it. A disabled entry keeps its status.
ALTER TABLE model_registry_entries DROP COLUMN desired_state;
