-- Removes the oldest idempotency keys from before a moment, p_limit at the most and none that another
-- session has locked. Returns how many.
CREATE OR REPLACE FUNCTION remove_old_keys(p_before timestamptz, p_limit bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
DECLARE
  removed bigint;
BEGIN
  WITH old AS (
    SELECT k.user_id, k.key FROM idempotency_keys k
     WHERE k.created_at < p_before
     ORDER BY k.created_at LIMIT p_limit
       FOR UPDATE SKIP LOCKED
  )
  DELETE FROM idempotency_keys k USING old WHERE k.user_id = old.user_id AND k.key = old.key;
  GET DIAGNOSTICS removed = ROW_COUNT;
  RETURN removed;
END $$;
