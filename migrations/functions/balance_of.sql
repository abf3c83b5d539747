-- What a user can spend now, with the holds that are due; NULL where there is no such user. Locks nothing: who decides by
-- it asks adjust() to decide instead.
CREATE OR REPLACE FUNCTION balance_of(user_id bigint) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
  SELECT u.balance + coalesce((SELECT sum(h.amount) FROM holds h
                                WHERE h.user_id = u.id AND h.state = 'open'
                                  AND u.next_expiry_at <= clock_timestamp()
                                  AND h.expires_at <= clock_timestamp())::bigint, 0)
    FROM users u WHERE u.id = balance_of.user_id
$$;
