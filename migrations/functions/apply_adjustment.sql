-- One plain adjustment that travels alone, as one UPDATE with its conditions: what entering
-- apply_operations costs would be most of its time. Returns the same JSON, or NULL when nothing was
-- changed: apply_operations then says why.
CREATE OR REPLACE FUNCTION apply_adjustment(p_user bigint, p_amount bigint, p_actor integer) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET search_path FROM CURRENT
AS $$
DECLARE
  answer json;
BEGIN
  WITH changed AS (
    UPDATE users u
       SET balance = u.balance + p_amount,
           version = u.version + 1,
           updated_at = greatest(date_trunc('milliseconds', clock_timestamp()), u.updated_at)
     WHERE u.id = p_user
       AND p_amount <> 0
       AND u.balance + p_amount >= 0
       AND u.balance + u.held + p_amount <= 9007199254740991
       -- A hold that could fall due is a matter for apply_operations, which reads the clock once.
       AND u.next_expiry_at IS NULL
    RETURNING u.id, u.version, u.balance, u.updated_at
  )
  INSERT INTO entries AS j (user_id, version, amount, balance, kind, created_at, actor)
  SELECT c.id, c.version, p_amount, c.balance, 'adjustment', c.updated_at, p_actor FROM changed c
  RETURNING json_build_object('balances', json_build_array(j.balance),
                              'versions', json_build_array(j.version),
                              'decided_at', extract(epoch FROM j.created_at) * 1000) INTO answer;
  RETURN answer;
END $$;
