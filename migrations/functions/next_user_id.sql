-- The next number for a user who asked for none; it may have been chosen by hand already, see skip_user_ids().
CREATE OR REPLACE FUNCTION next_user_id() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
BEGIN
  RETURN nextval(pg_get_serial_sequence('users', 'id'));
END $$;
