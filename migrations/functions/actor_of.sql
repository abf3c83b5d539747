-- The number under which who asks is kept: with the first request it gets one, and keeps it. Kinds: token (by its
-- id), client (by its name), os (a user of an operating system), role (of the database).
CREATE OR REPLACE FUNCTION actor_of(p_kind text, p_name text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
DECLARE
  found integer;
BEGIN
  SELECT id INTO found FROM actors WHERE kind = p_kind AND name = p_name;
  IF found IS NULL THEN
    INSERT INTO actors (kind, name) VALUES (p_kind, p_name) ON CONFLICT DO NOTHING;
    SELECT id INTO found FROM actors WHERE kind = p_kind AND name = p_name;
  END IF;
  RETURN found;
END $$;
