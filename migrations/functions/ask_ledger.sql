-- One operation of the SQL door, through the one way to change a balance, for the role that asks.
-- p_asked are the parts of its fingerprint that are its own. The key is the client's that is called like the role;
-- whoever owns the tables may see all. Keys that are old are left to the servers, who know how long they are kept.
CREATE OR REPLACE FUNCTION ask_ledger(
  p_kind text, p_user bigint, p_amount bigint, p_change bigint, p_to bigint, p_operation uuid,
  p_lifetime double precision, p_asked text[], p_key text, p_reference text, p_metadata jsonb,
  p_min_balance bigint, p_if_version bigint
) RETURNS verdict
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
DECLARE
  whole_max CONSTANT bigint := 9007199254740991;
  party bigint[] := CASE WHEN p_to IS NULL THEN ARRAY[p_user]
                         ELSE ARRAY[least(p_user, p_to), greatest(p_user, p_to)] END;
  is_owner CONSTANT boolean := pg_has_role(session_user, current_user, 'USAGE');
  problem text;
  done record;
  answer verdict;
  moved bigint;
BEGIN
  problem := CASE
    WHEN (p_user BETWEEN 1 AND whole_max) IS NOT TRUE THEN 'user_id must be from 1 to 9007199254740991'
    WHEN p_to NOT BETWEEN 1 AND whole_max THEN 'to_user_id must be from 1 to 9007199254740991'
    WHEN p_to = p_user THEN 'to_user_id must not be the user who pays'
    WHEN p_amount NOT BETWEEN -whole_max AND whole_max THEN 'amount must be at most 9007199254740991'
    WHEN p_min_balance NOT BETWEEN 0 AND whole_max THEN 'min_balance must be from 0 to 9007199254740991'
    WHEN p_key !~ '^[\x21-\x7e]{1,255}$' THEN 'idempotency_key must be 1 to 255 visible ASCII characters without spaces'
    WHEN char_length(p_reference) NOT BETWEEN 1 AND 255 OR p_reference ~ '[[:cntrl:]]'
      THEN 'reference must be 1 to 255 characters, none of them a control character'
    WHEN jsonb_typeof(p_metadata) <> 'object' OR octet_length(p_metadata::text) > 4096
      THEN 'metadata must be a JSON object of at most 4096 bytes'
    WHEN p_lifetime NOT BETWEEN 1 AND 315360000 THEN 'expires_in must be from 1 to 315360000 seconds' END;
  IF problem IS NOT NULL THEN
    RAISE EXCEPTION '%', problem USING ERRCODE = 'invalid_parameter_value', HINT = 'Nothing was changed.';
  END IF;
  -- A batch gives back about a thousand holds that are due; without all of them it does not refuse.
  LOOP
    SELECT a.refusals ->> 0 AS refusal, (a.balances ->> 0)::bigint AS balance, (a.versions ->> 0)::bigint AS version,
           (a.amounts ->> 0)::bigint AS amount, coalesce((a.replays ->> 0)::boolean, false) AS replayed,
           (a.operation_ids ->> 0)::uuid AS operation_id, (a.created_user_ids ->> 0)::bigint AS user_id,
           a.holds -> 0 AS hold
      INTO done
      FROM apply_operations(
             party, ARRAY[array_position(party, p_user)], ARRAY[p_amount], ARRAY[p_kind],
             CASE WHEN p_to IS NOT NULL THEN ARRAY[array_position(party, p_to)] END,
             CASE WHEN p_operation IS NOT NULL THEN ARRAY[p_operation] END, NULL,
             CASE WHEN p_lifetime IS NOT NULL THEN ARRAY[p_lifetime] END,
             CASE WHEN p_if_version IS NOT NULL THEN ARRAY[p_if_version] END,
             CASE WHEN p_min_balance IS NOT NULL THEN ARRAY[p_min_balance] END,
             CASE WHEN p_key IS NOT NULL THEN ARRAY[p_key] END,
             CASE WHEN p_key IS NOT NULL THEN ARRAY[fingerprint_of(
               to_json(coalesce(p_kind, 'adjustment'))::text || p_asked
               || ARRAY[to_json(p_reference)::text, canonical_json(p_metadata), p_if_version::text,
                        p_min_balance::text])] END,
             CASE WHEN p_reference IS NOT NULL THEN ARRAY[p_reference] END,
             CASE WHEN p_metadata IS NOT NULL THEN ARRAY[p_metadata] END,
             p_actors => ARRAY[actor_of('role', session_user)],
             p_clients => CASE WHEN NOT is_owner THEN ARRAY[actor_of('client', session_user)] END) a;
    EXIT WHEN done.refusal IS DISTINCT FROM 'HOLDS_DUE';
  END LOOP;
  answer.refusal := done.refusal;
  answer.balance := done.balance;
  answer.version := done.version;
  answer.replayed := done.replayed;
  IF done.refusal IS NULL THEN
    moved := CASE WHEN p_kind IN ('capture', 'void') THEN done.amount - CASE p_kind WHEN 'capture'
                    THEN coalesce(p_amount, done.amount) ELSE 0 END
                  ELSE p_change END;
    answer.previous_balance := done.balance - moved;
    answer.operation_id := coalesce(done.operation_id, p_operation);
    answer.user_id := coalesce(done.user_id, p_user);
  END IF;
  RETURN answer;
END $$;
