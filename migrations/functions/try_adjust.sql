-- Adds a signed amount to a balance, or says why not.
CREATE OR REPLACE FUNCTION try_adjust(
  user_id bigint, amount bigint, idempotency_key text DEFAULT NULL, reference text DEFAULT NULL,
  metadata jsonb DEFAULT NULL,
  min_balance bigint DEFAULT NULL, if_version bigint DEFAULT NULL
) RETURNS verdict
LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
  SELECT ask_ledger(
           NULL, user_id, amount, amount, NULL, NULL, NULL, ARRAY[amount::text],
           idempotency_key, reference, metadata, min_balance, if_version)
$$;
