-- Takes an amount from one user and gives it to another, or raises why not.
CREATE OR REPLACE FUNCTION transfer(
  from_user_id bigint, to_user_id bigint, amount bigint, idempotency_key text DEFAULT NULL, reference text DEFAULT NULL,
  metadata jsonb DEFAULT NULL,
  min_balance bigint DEFAULT NULL, if_version bigint DEFAULT NULL
) RETURNS verdict
LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
  SELECT raise_refusal(try_transfer(
           from_user_id, to_user_id, amount, idempotency_key, reference, metadata,
           min_balance, if_version), from_user_id)
$$;
