-- Gives back what is held, or says why not.
CREATE OR REPLACE FUNCTION try_void(
  user_id bigint, hold_id uuid, idempotency_key text DEFAULT NULL, reference text DEFAULT NULL,
  metadata jsonb DEFAULT NULL,
  if_version bigint DEFAULT NULL
) RETURNS verdict
LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
  SELECT ask_ledger(
           'void', user_id, NULL, NULL, NULL, hold_id, NULL, ARRAY[to_json(hold_id::text)::text],
           idempotency_key, reference, metadata, NULL, if_version)
$$;
