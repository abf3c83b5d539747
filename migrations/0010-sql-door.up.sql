-- The door for an application's own transaction: docs/sql.md.

-- What came of it. A refusal has changed nothing; what is not about it is NULL.
CREATE TYPE verdict AS (
  refusal          text,
  balance          bigint,
  previous_balance bigint,
  version          bigint,
  -- Whether the idempotency key had the answer.
  replayed         boolean,
  -- The transfer or the hold.
  operation_id     uuid,
  user_id          bigint
);


-- from functions/canonical_json.sql
-- JSON as the program's fingerprints have it: no blanks, fields in the order of their names.
CREATE OR REPLACE FUNCTION canonical_json(p_value jsonb) RETURNS text LANGUAGE plpgsql IMMUTABLE
SET search_path FROM CURRENT
AS $$
BEGIN
  RETURN CASE jsonb_typeof(p_value)
    WHEN 'object' THEN
      (SELECT '{' || coalesce(string_agg(to_json(f.key)::text || ':' || canonical_json(f.value), ','
                                         ORDER BY f.key COLLATE "C"), '') || '}'
         FROM jsonb_each(p_value) f)
    WHEN 'array' THEN
      (SELECT '[' || coalesce(string_agg(canonical_json(e.value), ',' ORDER BY e.at), '') || ']'
         FROM jsonb_array_elements(p_value) WITH ORDINALITY AS e (value, at))
    ELSE p_value::text END;
END $$;

-- from functions/fingerprint_of.sql
-- Of a request, the same that the program makes (src/ledger/request.ts), so that a key may be repeated through another
-- door. The parts are JSON texts; NULL is a part that was left out.
CREATE OR REPLACE FUNCTION fingerprint_of(p_parts text[]) RETURNS text LANGUAGE plpgsql IMMUTABLE
SET search_path FROM CURRENT
AS $$
DECLARE
  given integer := cardinality(p_parts);
  request text;
BEGIN
  WHILE p_parts[given] IS NULL LOOP given := given - 1; END LOOP;
  request := '[' || array_to_string(p_parts[1:given], ',', 'null') || ']';
  IF length(request) <= 64 THEN RETURN '1:' || request; END IF;
  RETURN '1:' || rtrim(translate(encode(sha256(convert_to(request, 'UTF8')), 'base64'), '+/', '-_'), '=');
END $$;

-- from functions/ask_ledger.sql
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

-- from functions/raise_refusal.sql
-- A refusal as an error of its own, so that the transaction of who asked is rolled back; a verdict that is none as it is.
-- SQLSTATEs of the class BC, and the code in small letters as the name of a constraint.
CREATE OR REPLACE FUNCTION raise_refusal(p_verdict verdict, p_user bigint) RETURNS verdict
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
  IF p_verdict.refusal IS NULL THEN RETURN p_verdict; END IF;
  RAISE EXCEPTION '%', CASE p_verdict.refusal
      WHEN 'INSUFFICIENT_FUNDS' THEN 'Insufficient funds for this operation'
      WHEN 'USER_NOT_FOUND' THEN 'User ' || p_user || ' not found'
      WHEN 'RECIPIENT_NOT_FOUND' THEN 'The user who is to receive is not found'
      WHEN 'USER_EXISTS' THEN 'User ' || p_user || ' exists already'
      WHEN 'BALANCE_LIMIT_EXCEEDED' THEN 'The balance would exceed 9007199254740991'
      WHEN 'PRECONDITION_FAILED' THEN 'The user has changed since: the version is not if_version'
      WHEN 'HOLD_NOT_FOUND' THEN 'Hold not found'
      WHEN 'HOLD_CLOSED' THEN 'The hold is closed'
      WHEN 'CAPTURE_EXCEEDS_HOLD' THEN 'The capture is larger than the hold'
      WHEN 'HOLD_LIMIT_EXCEEDED' THEN 'The user has 10000 open holds, and may have no more'
      WHEN 'IDEMPOTENCY_KEY_REUSED' THEN 'This idempotency_key was used before with a different request' END
    USING ERRCODE = CASE p_verdict.refusal
            WHEN 'INSUFFICIENT_FUNDS' THEN 'BC101' WHEN 'USER_NOT_FOUND' THEN 'BC102'
            WHEN 'RECIPIENT_NOT_FOUND' THEN 'BC103' WHEN 'USER_EXISTS' THEN 'BC104'
            WHEN 'BALANCE_LIMIT_EXCEEDED' THEN 'BC105' WHEN 'PRECONDITION_FAILED' THEN 'BC106'
            WHEN 'HOLD_NOT_FOUND' THEN 'BC107' WHEN 'HOLD_CLOSED' THEN 'BC108'
            WHEN 'CAPTURE_EXCEEDS_HOLD' THEN 'BC109' WHEN 'HOLD_LIMIT_EXCEEDED' THEN 'BC110'
            WHEN 'IDEMPOTENCY_KEY_REUSED' THEN 'BC111' ELSE 'BC100' END,
          CONSTRAINT = lower(p_verdict.refusal), TABLE = 'users',
          DETAIL = format('user %s, balance %s, version %s', p_user, coalesce(p_verdict.balance::text, 'none'),
                          coalesce(p_verdict.version::text, 'none')),
          HINT = 'The transaction is rolled back; the try_ form returns the refusal instead.';
END $$;

-- from functions/try_adjust.sql
-- Adds a signed amount to a balance, or says why not.
CREATE OR REPLACE FUNCTION try_adjust(
  user_id bigint, amount bigint, idempotency_key text DEFAULT NULL, reference text DEFAULT NULL,
  metadata jsonb DEFAULT NULL,
  min_balance bigint DEFAULT NULL, if_version bigint DEFAULT NULL
) RETURNS verdict
LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
  SELECT ask_ledger(
           NULL, user_id, amount, amount, NULL, NULL, NULL, ARRAY[amount::text],
           idempotency_key, reference, metadata, min_balance, if_version)
$$;

-- from functions/adjust.sql
-- Adds a signed amount to a balance, or raises why not.
CREATE OR REPLACE FUNCTION adjust(
  user_id bigint, amount bigint, idempotency_key text DEFAULT NULL, reference text DEFAULT NULL,
  metadata jsonb DEFAULT NULL,
  min_balance bigint DEFAULT NULL, if_version bigint DEFAULT NULL
) RETURNS verdict
LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
  SELECT raise_refusal(try_adjust(
           user_id, amount, idempotency_key, reference, metadata, min_balance, if_version), user_id)
$$;

-- from functions/try_transfer.sql
-- Takes an amount from one user and gives it to another, or says why not.
CREATE OR REPLACE FUNCTION try_transfer(
  from_user_id bigint, to_user_id bigint, amount bigint, idempotency_key text DEFAULT NULL, reference text DEFAULT NULL,
  metadata jsonb DEFAULT NULL,
  min_balance bigint DEFAULT NULL, if_version bigint DEFAULT NULL
) RETURNS verdict
LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
  SELECT ask_ledger(
           'transfer', from_user_id, amount, -amount, to_user_id, gen_random_uuid(), NULL,
           ARRAY[from_user_id::text, to_user_id::text, amount::text],
           idempotency_key, reference, metadata, min_balance, if_version)
$$;

-- from functions/transfer.sql
-- Takes an amount from one user and gives it to another, or raises why not.
CREATE OR REPLACE FUNCTION transfer(
  from_user_id bigint, to_user_id bigint, amount bigint, idempotency_key text DEFAULT NULL, reference text DEFAULT NULL,
  metadata jsonb DEFAULT NULL,
  min_balance bigint DEFAULT NULL, if_version bigint DEFAULT NULL
) RETURNS verdict
LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
  SELECT raise_refusal(try_transfer(
           from_user_id, to_user_id, amount, idempotency_key, reference, metadata,
           min_balance, if_version), from_user_id)
$$;

-- from functions/try_hold.sql
-- Takes an amount out of what can be spent, until it is captured, voided or expires (seconds), or says why not.
CREATE OR REPLACE FUNCTION try_hold(
  user_id bigint, amount bigint, expires_in double precision DEFAULT NULL, idempotency_key text DEFAULT NULL, reference text DEFAULT NULL,
  metadata jsonb DEFAULT NULL,
  min_balance bigint DEFAULT NULL, if_version bigint DEFAULT NULL
) RETURNS verdict
LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
  SELECT ask_ledger(
           'hold', user_id, amount, -amount, NULL, gen_random_uuid(), expires_in,
           ARRAY[amount::text, expires_in::text],
           idempotency_key, reference, metadata, min_balance, if_version)
$$;

-- from functions/hold.sql
-- Takes an amount out of what can be spent, until it is captured, voided or expires (seconds), or raises why not.
CREATE OR REPLACE FUNCTION hold(
  user_id bigint, amount bigint, expires_in double precision DEFAULT NULL, idempotency_key text DEFAULT NULL, reference text DEFAULT NULL,
  metadata jsonb DEFAULT NULL,
  min_balance bigint DEFAULT NULL, if_version bigint DEFAULT NULL
) RETURNS verdict
LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
  SELECT raise_refusal(try_hold(
           user_id, amount, expires_in, idempotency_key, reference, metadata, min_balance, if_version), user_id)
$$;

-- from functions/try_capture.sql
-- Takes what is held for good, all of it or a part, and gives it to a user where one is named, or says why not.
CREATE OR REPLACE FUNCTION try_capture(
  user_id bigint, hold_id uuid, amount bigint DEFAULT NULL, to_user_id bigint DEFAULT NULL, idempotency_key text DEFAULT NULL, reference text DEFAULT NULL,
  metadata jsonb DEFAULT NULL,
  min_balance bigint DEFAULT NULL, if_version bigint DEFAULT NULL
) RETURNS verdict
LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
  SELECT ask_ledger(
           'capture', user_id, amount, NULL, to_user_id, hold_id, NULL,
           ARRAY[to_json(hold_id::text)::text, amount::text, to_user_id::text],
           idempotency_key, reference, metadata, min_balance, if_version)
$$;

-- from functions/capture.sql
-- Takes what is held for good, all of it or a part, and gives it to a user where one is named, or raises why not.
CREATE OR REPLACE FUNCTION capture(
  user_id bigint, hold_id uuid, amount bigint DEFAULT NULL, to_user_id bigint DEFAULT NULL, idempotency_key text DEFAULT NULL, reference text DEFAULT NULL,
  metadata jsonb DEFAULT NULL,
  min_balance bigint DEFAULT NULL, if_version bigint DEFAULT NULL
) RETURNS verdict
LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
  SELECT raise_refusal(try_capture(
           user_id, hold_id, amount, to_user_id, idempotency_key, reference, metadata,
           min_balance, if_version), user_id)
$$;

-- from functions/try_void.sql
-- Gives back what is held, or says why not.
CREATE OR REPLACE FUNCTION try_void(
  user_id bigint, hold_id uuid, idempotency_key text DEFAULT NULL, reference text DEFAULT NULL,
  metadata jsonb DEFAULT NULL,
  if_version bigint DEFAULT NULL
) RETURNS verdict
LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
  SELECT ask_ledger(
           'void', user_id, NULL, NULL, NULL, hold_id, NULL, ARRAY[to_json(hold_id::text)::text],
           idempotency_key, reference, metadata, NULL, if_version)
$$;

-- from functions/void.sql
-- Gives back what is held, or raises why not.
CREATE OR REPLACE FUNCTION void(
  user_id bigint, hold_id uuid, idempotency_key text DEFAULT NULL, reference text DEFAULT NULL,
  metadata jsonb DEFAULT NULL,
  if_version bigint DEFAULT NULL
) RETURNS verdict
LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
  SELECT raise_refusal(try_void(
           user_id, hold_id, idempotency_key, reference, metadata, if_version), user_id)
$$;

-- from functions/try_open_user.sql
-- Opens a user under an id, or under the next that is free, or says why not. Two that are opened under one key are one.
CREATE OR REPLACE FUNCTION try_open_user(
  user_id bigint DEFAULT NULL, balance bigint DEFAULT 0, idempotency_key text DEFAULT NULL,
  reference text DEFAULT NULL, metadata jsonb DEFAULT NULL
) RETURNS verdict
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
DECLARE
  chosen bigint;
  answer verdict;
BEGIN
  LOOP
    chosen := coalesce(try_open_user.user_id, next_user_id());
    answer := ask_ledger('opening', chosen, try_open_user.balance, try_open_user.balance, NULL, NULL, NULL,
                         ARRAY[try_open_user.balance::text, try_open_user.user_id::text],
                         idempotency_key, reference, metadata, NULL, NULL);
    EXIT WHEN try_open_user.user_id IS NOT NULL OR answer.refusal IS DISTINCT FROM 'USER_EXISTS';
    PERFORM skip_user_ids(chosen);
  END LOOP;
  RETURN answer;
END $$;

-- from functions/open_user.sql
-- Opens a user under an id, or under the next that is free, or raises why not.
CREATE OR REPLACE FUNCTION open_user(
  user_id bigint DEFAULT NULL, balance bigint DEFAULT 0, idempotency_key text DEFAULT NULL,
  reference text DEFAULT NULL, metadata jsonb DEFAULT NULL
) RETURNS verdict
LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
  SELECT raise_refusal(try_open_user(user_id, balance, idempotency_key, reference, metadata), user_id)
$$;

-- from functions/balance_of.sql
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

-- They do what their owner may do: whose they are to call is granted (balancectl migrate --grant-app).
REVOKE ALL ON FUNCTION
  ask_ledger, try_adjust, adjust, try_transfer, transfer, try_hold, hold, try_capture, capture, try_void, void,
  try_open_user, open_user, balance_of FROM PUBLIC;

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY '{adjust,transfer,hold,capture,void,open_user}'::text[] LOOP
    EXECUTE format('COMMENT ON FUNCTION %I IS %L', name,
      'Raises a refusal (SQLSTATE class BC, its name as the constraint). The rows of its users stay locked until your '
      'transaction ends: call it last. It locks the users of one call in order; with several calls be ready for 40P01. '
      'READ COMMITTED, or be ready for 40001. docs/sql.md of balancectl says more.');
    EXECUTE format('COMMENT ON FUNCTION %I IS %L', 'try_' || name,
      'Returns a refusal in its verdict and changes nothing then. Otherwise as ' || name || '().');
  END LOOP;
END $$;
COMMENT ON FUNCTION balance_of IS
  'What the user can spend now; NULL where there is none. Locks nothing: let adjust() decide, not a look before it.';
