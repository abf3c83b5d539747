-- Takes what is held for good, all of it or a part, and gives it to a user where one is named, or raises why not.
CREATE OR REPLACE FUNCTION capture(
  user_id bigint, hold_id uuid, amount bigint DEFAULT NULL, to_user_id bigint DEFAULT NULL, idempotency_key text DEFAULT NULL, reference text DEFAULT NULL,
  metadata jsonb DEFAULT NULL,
  min_balance bigint DEFAULT NULL, if_version bigint DEFAULT NULL
) RETURNS verdict
LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
  SELECT raise_refusal(try_capture(
           user_id, hold_id, amount, to_user_id, idempotency_key, reference, metadata,
           min_balance, if_version), user_id)
$$;
