-- A hold has the entry that took its amount out of the balance, by the end of the transaction that makes it.
CREATE OR REPLACE FUNCTION refuse_hold_without_entry() RETURNS trigger LANGUAGE plpgsql
-- By index, also where the plan was made while the journal was small: see apply_operations.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET search_path FROM CURRENT
AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM entries e
                  WHERE e.operation_id = NEW.id AND e.user_id = NEW.user_id
                    AND e.kind = 'hold' AND e.amount = -NEW.amount) THEN
    RAISE EXCEPTION 'hold % of user % has no entry of its amount', NEW.id, NEW.user_id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'holds_have_entry', TABLE = 'holds',
            HINT = 'Hold with balancectl hold or the API; they write the entry too.';
  END IF;
  RETURN NULL;
END $$;
