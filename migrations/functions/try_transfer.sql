-- Takes an amount from one user and gives it to another, or says why not.
CREATE OR REPLACE FUNCTION try_transfer(
  from_user_id bigint, to_user_id bigint, amount bigint, idempotency_key text DEFAULT NULL, reference text DEFAULT NULL,
  metadata jsonb DEFAULT NULL,
  min_balance bigint DEFAULT NULL, if_version bigint DEFAULT NULL
) RETURNS verdict
LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
  SELECT ask_ledger(
           'transfer', from_user_id, amount, -amount, to_user_id, gen_random_uuid(), NULL,
           ARRAY[from_user_id::text, to_user_id::text, amount::text],
           idempotency_key, reference, metadata, min_balance, if_version)
$$;
