-- Adds a signed amount to a balance, or raises why not.
CREATE OR REPLACE FUNCTION adjust(
  user_id bigint, amount bigint, idempotency_key text DEFAULT NULL, reference text DEFAULT NULL,
  metadata jsonb DEFAULT NULL,
  min_balance bigint DEFAULT NULL, if_version bigint DEFAULT NULL
) RETURNS verdict
LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
  SELECT raise_refusal(try_adjust(
           user_id, amount, idempotency_key, reference, metadata, min_balance, if_version), user_id)
$$;
