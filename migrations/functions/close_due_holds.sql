-- Closes the users' holds that are due: each with the moment that its entry has, when it was due or its
-- user's last time, in the order of the entries. The users are locked. For apply_operations, whose
-- settings its plan is made under.
CREATE OR REPLACE FUNCTION close_due_holds(p_user_ids bigint[], p_now timestamptz)
RETURNS TABLE (holder bigint, hold_id uuid, held_amount bigint, due_at timestamptz)
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
  RETURN QUERY
  WITH closed AS (
    UPDATE holds h SET state = 'expired', closed_at = h.expires_at
     WHERE h.user_id = ANY (p_user_ids) AND h.state = 'open' AND h.expires_at <= p_now
    RETURNING h.user_id, h.id, h.amount, h.expires_at
  )
  SELECT c.user_id, c.id, c.amount,
         greatest(c.expires_at, (SELECT u.updated_at FROM users u WHERE u.id = c.user_id))
    FROM closed c
   ORDER BY c.user_id, c.expires_at, c.id;
END $$;
