-- Takes an amount out of what can be spent, until it is captured, voided or expires (seconds), or raises why not.
CREATE OR REPLACE FUNCTION hold(
  user_id bigint, amount bigint, expires_in double precision DEFAULT NULL, idempotency_key text DEFAULT NULL, reference text DEFAULT NULL,
  metadata jsonb DEFAULT NULL,
  min_balance bigint DEFAULT NULL, if_version bigint DEFAULT NULL
) RETURNS verdict
LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
  SELECT raise_refusal(try_hold(
           user_id, amount, expires_in, idempotency_key, reference, metadata, min_balance, if_version), user_id)
$$;
