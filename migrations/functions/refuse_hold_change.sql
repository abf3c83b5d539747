-- A hold stays as it was made, but that it ends, once.
CREATE OR REPLACE FUNCTION refuse_hold_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND TG_LEVEL = 'ROW' THEN
    IF OLD.state = 'open' AND NEW.state <> 'open'
       AND (NEW.user_id, NEW.id, NEW.amount, NEW.created_at) = (OLD.user_id, OLD.id, OLD.amount, OLD.created_at)
       AND NEW.expires_at IS NOT DISTINCT FROM OLD.expires_at THEN
      RETURN NEW;
    END IF;
  END IF;
  RAISE EXCEPTION 'holds only end, and stay: % is refused', TG_OP
    USING ERRCODE = 'restrict_violation', CONSTRAINT = 'holds_only_end', TABLE = 'holds',
          HINT = 'End a hold with balancectl capture or void, or the API; they write the entry too.';
END $$;
