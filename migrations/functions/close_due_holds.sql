-- Closes the users' holds that are due, the oldest of each user first, and about a thousand of them, each user's
-- share of it, so that nobody in the batch waits for long: each with the moment that its entry has, when it was due
-- or its user's last time, in the order of the entries. The users are locked. For apply_operations, whose settings
-- its plan is made under.
CREATE OR REPLACE FUNCTION close_due_holds(p_user_ids bigint[], p_now timestamptz)
RETURNS TABLE (holder bigint, hold_id uuid, held_amount bigint, due_at timestamptz)
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
  RETURN QUERY
  WITH due AS (
    -- A user at a time, in the order of the index, so that no more are read than are closed.
    SELECT d.user_id, d.id
      FROM unnest(p_user_ids) AS u (id)
     CROSS JOIN LATERAL (
       SELECT h.user_id, h.id FROM holds h
        WHERE h.user_id = u.id AND h.state = 'open' AND h.expires_at <= p_now
        ORDER BY h.expires_at LIMIT ceil(1000.0 / cardinality(p_user_ids))) AS d
  ), closed AS (
    UPDATE holds h SET state = 'expired', closed_at = h.expires_at
      FROM due WHERE h.user_id = due.user_id AND h.id = due.id
    RETURNING h.user_id, h.id, h.amount, h.expires_at
  )
  SELECT c.user_id, c.id, c.amount,
         greatest(c.expires_at, (SELECT u.updated_at FROM users u WHERE u.id = c.user_id))
    FROM closed c
   ORDER BY c.user_id, c.expires_at, c.id;
END $$;
