-- Takes an amount out of what can be spent, until it is captured, voided or expires (seconds), or says why not.
CREATE OR REPLACE FUNCTION try_hold(
  user_id bigint, amount bigint, expires_in double precision DEFAULT NULL, idempotency_key text DEFAULT NULL, reference text DEFAULT NULL,
  metadata jsonb DEFAULT NULL,
  min_balance bigint DEFAULT NULL, if_version bigint DEFAULT NULL
) RETURNS verdict
LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
  SELECT ask_ledger(
           'hold', user_id, amount, -amount, NULL, gen_random_uuid(), expires_in,
           ARRAY[amount::text, expires_in::text],
           idempotency_key, reference, metadata, min_balance, if_version)
$$;
