-- What became of a request stays as it was stored, until it is old enough to be removed.
CREATE OR REPLACE FUNCTION refuse_key_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'idempotency keys keep their outcome: % is refused', TG_OP
    USING ERRCODE = 'restrict_violation', CONSTRAINT = 'idempotency_keys_keep_outcome',
          TABLE = 'idempotency_keys',
          HINT = 'Old keys are removed with balancectl prune.';
END $$;
