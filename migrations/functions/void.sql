-- Gives back what is held, or raises why not.
CREATE OR REPLACE FUNCTION void(
  user_id bigint, hold_id uuid, idempotency_key text DEFAULT NULL, reference text DEFAULT NULL,
  metadata jsonb DEFAULT NULL,
  if_version bigint DEFAULT NULL
) RETURNS verdict
LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
  SELECT raise_refusal(try_void(
           user_id, hold_id, idempotency_key, reference, metadata, if_version), user_id)
$$;
