-- Holds, what is held, and idempotency keys are guarded like balances.


-- from functions/refuse_hold_change.sql
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

-- from functions/refuse_hold_without_entry.sql
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

-- from functions/refuse_held_without_entries.sql
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

-- from functions/refuse_key_change.sql
-- What became of a request stays as it was stored, until it is old enough to be removed.
CREATE OR REPLACE FUNCTION refuse_key_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'idempotency keys keep their outcome: % is refused', TG_OP
    USING ERRCODE = 'restrict_violation', CONSTRAINT = 'idempotency_keys_keep_outcome',
          TABLE = 'idempotency_keys',
          HINT = 'Old keys are removed with balancectl prune.';
END $$;

CREATE TRIGGER holds_only_end BEFORE UPDATE ON holds
  FOR EACH ROW EXECUTE FUNCTION refuse_hold_change();
CREATE TRIGGER holds_stay BEFORE DELETE OR TRUNCATE ON holds
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_hold_change();
-- At the end of the transaction, because a hold is made before its entry.
CREATE CONSTRAINT TRIGGER holds_have_entry AFTER INSERT ON holds
  DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION refuse_hold_without_entry();
CREATE TRIGGER users_held_has_entries_on_insert AFTER INSERT ON users
  FOR EACH ROW WHEN (NEW.held <> 0) EXECUTE FUNCTION refuse_held_without_entries();
CREATE TRIGGER users_held_has_entries_on_update AFTER UPDATE ON users
  FOR EACH ROW WHEN (OLD.held <> NEW.held) EXECUTE FUNCTION refuse_held_without_entries();
CREATE TRIGGER idempotency_keys_keep_outcome BEFORE UPDATE OR TRUNCATE ON idempotency_keys
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_key_change();
