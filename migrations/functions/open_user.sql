-- Opens a user under an id, or under the next that is free, or raises why not.
CREATE OR REPLACE FUNCTION open_user(
  user_id bigint DEFAULT NULL, balance bigint DEFAULT 0, idempotency_key text DEFAULT NULL,
  reference text DEFAULT NULL, metadata jsonb DEFAULT NULL
) RETURNS verdict
LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
  SELECT raise_refusal(try_open_user(user_id, balance, idempotency_key, reference, metadata), user_id)
$$;
