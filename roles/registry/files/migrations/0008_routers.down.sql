DROP FUNCTION router_goodbye(text);
DROP FUNCTION router_heartbeat(text, text, uuid, bigint, jsonb);
DROP TABLE router_instances;
DROP VIEW model_states;
DROP VIEW routable_models;
