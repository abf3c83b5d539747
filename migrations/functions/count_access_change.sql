-- Servers look at the version once a second. With the first token the door is closed, and stays closed when the last
-- one is revoked, expires, or is deleted.
CREATE OR REPLACE FUNCTION count_access_change() RETURNS trigger
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
  UPDATE access_state SET version = version + 1, closed_at = coalesce(closed_at, clock_timestamp());
  RETURN NULL;
END $$;
