DROP FUNCTION creation_scope;
DROP TABLE idempotency_keys;
