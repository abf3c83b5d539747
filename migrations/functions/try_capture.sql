-- Takes what is held for good, all of it or a part, and gives it to a user where one is named, or says why not.
CREATE OR REPLACE FUNCTION try_capture(
  user_id bigint, hold_id uuid, amount bigint DEFAULT NULL, to_user_id bigint DEFAULT NULL, idempotency_key text DEFAULT NULL, reference text DEFAULT NULL,
  metadata jsonb DEFAULT NULL,
  min_balance bigint DEFAULT NULL, if_version bigint DEFAULT NULL
) RETURNS verdict
LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
  SELECT ask_ledger(
           'capture', user_id, amount, NULL, to_user_id, hold_id, NULL,
           ARRAY[to_json(hold_id::text)::text, amount::text, to_user_id::text],
           idempotency_key, reference, metadata, min_balance, if_version)
$$;
