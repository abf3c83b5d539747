-- Past an id that somebody chose before the sequence came to it, and all those right behind it that are taken too.
-- Never backwards: another process may have given ids beyond. Returns the last one that is skipped.
CREATE OR REPLACE FUNCTION skip_user_ids(p_taken bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
DECLARE
  last bigint;
BEGIN
  SELECT u.id INTO last FROM users u
   WHERE u.id >= p_taken AND NOT EXISTS (SELECT FROM users next WHERE next.id = u.id + 1)
   ORDER BY u.id LIMIT 1;
  RETURN setval(pg_get_serial_sequence('users', 'id'),
                greatest(last, pg_sequence_last_value(pg_get_serial_sequence('users', 'id'))));
END $$;
