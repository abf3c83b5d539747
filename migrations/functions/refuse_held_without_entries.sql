-- What a user has held changes by what the new entries of holds say, and by nothing else. Fired where held has
-- changed, so that whoever has no holds pays for one comparison.
CREATE OR REPLACE FUNCTION refuse_held_without_entries() RETURNS trigger LANGUAGE plpgsql
-- By index, also where the plan was made while the journal was small: see apply_operations.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET search_path FROM CURRENT
AS $$
DECLARE
  held_before bigint := 0;
  version_before bigint := 0;
  said bigint;
BEGIN
  IF TG_OP = 'UPDATE' THEN
    held_before := OLD.held;
    version_before := OLD.version;
  END IF;
  SELECT -coalesce(sum(e.amount), 0) INTO said FROM entries e
   WHERE e.user_id = NEW.id AND e.version > version_before AND e.version <= NEW.version
     AND e.kind IN ('hold', 'release', 'void', 'expiry');
  IF NEW.held - held_before <> said THEN
    RAISE EXCEPTION 'what user % has held does not match the entries of its holds', NEW.id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'users_held_has_entries', TABLE = 'users',
            HINT = 'Hold, capture and void with balancectl or the API; they write the entries too.';
  END IF;
  RETURN NULL;
END $$;
