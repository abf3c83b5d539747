-- The one way to change a balance: a batch of operations in one statement, so in one transaction
-- and one commit. In order:
--   1. lock the users, in id order, so that batches cannot deadlock
--   2. give back the holds that are due
--   3. look up the idempotency keys: what was answered before is answered again
--   4. decide each operation, in order, against the balance as it then stands
--   5. write entries, users and keys, a statement each
-- An operation that is refused changes nothing and does not touch its neighbours.
--
-- Per operation (arrays of one length; NULL in place of an array means NULL for every operation):
--   p_slots         index into p_users of the user it acts on; p_users ascends, each id once
--   p_amounts       adjustment: the signed change; capture: NULL takes all of the hold
--   p_kinds         NULL is an adjustment; or transfer, hold, capture, void, opening, touch
--                   (a touch only gives back the holds that are due)
--   p_to_slots      transfer and capture: index of the user who receives
--   p_operation_ids the transfer's or the hold's id
--   p_groups        neighbours with one number apply all or none (transfers, and nothing else:
--                   going back undoes postings alone; the key is the first's)
--   p_lifetimes     hold: seconds until it expires
--   p_if_versions   refuse unless the user's version is this
--   p_min_balances  refuse if less than this would be left
--   p_keys, p_fingerprints   idempotency, scoped to the user (see creation_scope() for an opening)
--   p_references, p_metadata kept on the entries
--   p_actors        who asked, see actor_of(); kept on the entries
--   p_clients       whose key it is: what is stored under another's is not this one's to see. NULL may see all
-- What no caller may ask fails the whole batch with 22023: a change of nothing or of NULL, a transfer, hold or capture
-- of less than 1, an opening of less than 0, a payer who is the payee, an unknown kind, a group of anything but transfers.
-- p_key_lifetime is for how many seconds keys are kept; a batch with keys removes some that are older.
-- p_now stands in for the clock; only for who owns this function.
-- p_lock_wait_ms is how long a user that another session has locked is waited for; NULL: lock_timeout. When
-- it has passed the whole batch fails with 55P03. 0: not at all; operations on such users are then refused with
-- ACCOUNT_LOCKED, which no key keeps, and all others apply.
-- A batch gives back about a thousand holds that are due, and no more. What a user would be refused while further ones of
-- theirs are due is not decided: HOLDS_DUE, which no key keeps either. It is asked again, and each time gives back
-- a thousand more.
--
-- Returned as JSON arrays, by operation. An array may end early or be NULL: the rest is null.
--   refusals  null when applied, otherwise the reason
--   balances, versions   the user's, right after the operation
--   amounts   capture and void: the whole hold
--   refused_legs         for the first of a refused group, which one was refused, from 1
--   replays   true where the key had the answer; then operation_ids, created_user_ids and
--             times (ms since 1970) come with it
--   holds     capture and void: the hold as the operation left it, or found it closed (HOLD_CLOSED), see
--             hold_state(); also of a replay; NULL when there is none in the batch
--   locked    the ids of users that another session has locked; not by operation
-- decided_at is the clock, in ms since 1970: the time stamped on the entries, but for those of a user
-- whose last entry is later than it. A clock that was wrong for a moment leaves such users behind.
-- Their entries keep that time until the clock has come to it; nobody else's, and no hold's or key's.
CREATE OR REPLACE FUNCTION apply_operations(
  p_users         bigint[],
  p_slots         integer[],
  p_amounts       bigint[],
  p_kinds         text[] DEFAULT NULL,
  p_to_slots      integer[] DEFAULT NULL,
  p_operation_ids uuid[] DEFAULT NULL,
  p_groups        integer[] DEFAULT NULL,
  p_lifetimes     double precision[] DEFAULT NULL,
  p_if_versions   bigint[] DEFAULT NULL,
  p_min_balances  bigint[] DEFAULT NULL,
  p_keys          text[] DEFAULT NULL,
  p_fingerprints  text[] DEFAULT NULL,
  p_references    text[] DEFAULT NULL,
  p_metadata      jsonb[] DEFAULT NULL,
  p_key_lifetime  double precision DEFAULT NULL,
  p_now           timestamptz DEFAULT NULL,
  p_lock_wait_ms  integer DEFAULT NULL,
  p_actors        integer[] DEFAULT NULL,
  p_clients       integer[] DEFAULT NULL,
  OUT refusals json, OUT balances json, OUT versions json, OUT amounts json,
  OUT refused_legs json, OUT replays json, OUT operation_ids json, OUT created_user_ids json,
  OUT times json, OUT holds json, OUT locked json, OUT decided_at double precision
)
LANGUAGE plpgsql SECURITY DEFINER
-- A batch names its rows, so every plan goes by index, also one made while the tables were small,
-- and is made once a connection: planning anew would be a third of the time of a small batch.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET search_path FROM CURRENT
AS $$
DECLARE
  balance_max CONSTANT bigint := 9007199254740991;
  open_holds_max CONSTANT integer := 10000;
  operation_count CONSTANT integer := cardinality(p_slots);
  -- Users by slot; NULL where there is none.
  u_ids bigint[]; u_balances bigint[]; u_helds bigint[]; u_versions bigint[];
  -- By slot, where the user's last entry is later than the clock; NULL when there is no such user.
  u_ahead timestamptz[];
  u_updated_at timestamptz; u_expiry_at timestamptz;
  v_now timestamptz;
  u_locked bigint[];
  -- Users of whom further holds are due; and by slot, how many are open, once somebody has asked.
  u_overdue bigint[]; u_open integer[];
  created_slots integer[] := '{}'::integer[];
  holds_changed boolean := false;
  -- Outcomes by operation. They begin as {NULL} so that an element set later sits at its index,
  -- and with their type, or each call would read them from text.
  o_refusals text[] := '{NULL}'::text[]; o_balances bigint[] := '{NULL}'::bigint[];
  o_versions bigint[] := '{NULL}'::bigint[]; o_amounts bigint[] := '{NULL}'::bigint[];
  o_legs integer[] := '{NULL}'::integer[]; o_replays boolean[] := '{NULL}'::boolean[];
  o_ids uuid[] := '{NULL}'::uuid[]; o_users bigint[] := '{NULL}'::bigint[];
  o_times double precision[] := '{NULL}'::double precision[]; o_known boolean[] := '{NULL}'::boolean[];
  -- NULL until there is one.
  o_holds json[];
  -- Entries to write.
  entry_count integer := 0;
  e_slots integer[]; e_versions bigint[]; e_amounts bigint[]; e_balances bigint[]; e_ops integer[];
  e_kinds text[] := '{NULL}'::text[]; e_ids uuid[] := '{NULL}'::uuid[];
  e_times timestamptz[] := '{NULL}'::timestamptz[];
  -- The operation at hand, by index i, who pays and who is paid, by slot, and its postings.
  op_kind text; payer integer; payee integer; asked bigint; reason text;
  payer_after bigint; payer_change bigint; payee_change bigint; closing holds%ROWTYPE;
  party integer; post_slots integer[]; post_amounts bigint[]; post_kinds text[];
  -- The group at hand and what to go back to.
  group_number integer; group_first integer; group_over boolean := false;
  group_entry_count integer; group_balances bigint[]; group_versions bigint[];
  -- What the stages before found: holds that were due, outcomes that were stored, for which operation.
  due record; looked_up record; stored idempotency_keys%ROWTYPE; operation integer;
BEGIN
  IF p_now IS NOT NULL AND NOT pg_has_role(session_user, current_user, 'USAGE') THEN
    RAISE EXCEPTION 'the clock is not the caller''s to set' USING ERRCODE = 'insufficient_privilege';
  END IF;
  -- 1. FOR UPDATE waits for whoever is changing these rows and then reads the newest.
  IF p_lock_wait_ms = 0 THEN
    SELECT array_agg(u.id), array_agg(u.balance), array_agg(u.held), array_agg(u.version),
           max(u.updated_at), min(u.next_expiry_at)
      INTO u_ids, u_balances, u_helds, u_versions, u_updated_at, u_expiry_at
      FROM (SELECT * FROM users WHERE id = ANY (p_users) ORDER BY id FOR UPDATE SKIP LOCKED) u;
    SELECT array_agg(u.id), array_to_json(array_agg(u.id)) INTO u_locked, locked
      FROM users u WHERE u.id = ANY (p_users) AND u.id <> ALL (coalesce(u_ids, '{}'));
  ELSE
    IF p_lock_wait_ms IS NOT NULL THEN
      PERFORM set_config('lock_timeout', p_lock_wait_ms::text, true);
    END IF;
    SELECT array_agg(u.id), array_agg(u.balance), array_agg(u.held), array_agg(u.version),
           max(u.updated_at), min(u.next_expiry_at)
      INTO u_ids, u_balances, u_helds, u_versions, u_updated_at, u_expiry_at
      FROM (SELECT * FROM users WHERE id = ANY (p_users) ORDER BY id FOR UPDATE) u;
  END IF;
  IF u_ids IS DISTINCT FROM p_users THEN
    SELECT array_agg(f.balance ORDER BY x.slot), array_agg(f.held ORDER BY x.slot),
           array_agg(f.version ORDER BY x.slot)
      INTO u_balances, u_helds, u_versions
      FROM unnest(p_users) WITH ORDINALITY AS x (id, slot)
      LEFT JOIN unnest(u_ids, u_balances, u_helds, u_versions) AS f (id, balance, held, version)
        ON f.id = x.id;
  END IF;
  -- Read after the lock: a user's times follow its versions.
  -- Milliseconds, so that a time as it is shown is the time that is stored.
  v_now := date_trunc('milliseconds', coalesce(p_now, clock_timestamp()));
  decided_at := extract(epoch FROM v_now) * 1000;
  IF u_updated_at > v_now THEN
    SELECT array_agg(u.updated_at ORDER BY x.slot) INTO u_ahead
      FROM unnest(p_users) WITH ORDINALITY AS x (id, slot)
      LEFT JOIN users u ON u.id = x.id AND u.updated_at > v_now;
  END IF;

  -- 2. Holds that are due, each stamped with the moment it was due, or with its user's last time.
  IF u_expiry_at <= v_now THEN
    holds_changed := true;
    FOR due IN SELECT * FROM close_due_holds(u_ids, v_now) LOOP
      payer := width_bucket(due.holder, p_users);
      u_helds[payer] := u_helds[payer] - due.held_amount;
      u_balances[payer] := u_balances[payer] + due.held_amount;
      u_versions[payer] := u_versions[payer] + 1;
      entry_count := entry_count + 1;
      e_slots[entry_count] := payer; e_versions[entry_count] := u_versions[payer];
      e_ops[entry_count] := NULL; e_amounts[entry_count] := due.held_amount;
      e_balances[entry_count] := u_balances[payer]; e_kinds[entry_count] := 'expiry';
      e_ids[entry_count] := due.hold_id; e_times[entry_count] := due.due_at;
    END LOOP;
    SELECT array_agg(x.id) INTO u_overdue FROM unnest(u_ids) AS x (id)
     WHERE EXISTS (SELECT FROM holds h
                    WHERE h.user_id = x.id AND h.state = 'open' AND h.expires_at <= v_now);
  END IF;

  -- Operations on the locked are decided: not now. A group is, when one of its legs is.
  IF u_locked IS NOT NULL THEN
    FOREACH operation IN ARRAY locked_operations(p_users, p_slots, p_to_slots, p_groups, u_locked) LOOP
      o_known[operation] := true;
      o_refusals[operation] := 'ACCOUNT_LOCKED';
    END LOOP;
  END IF;

  -- 3. Looked up after the lock: a twin in another process has committed, or waits behind us.
  IF p_keys IS NOT NULL THEN
    looked_up := stored_outcomes(p_users, p_slots, p_kinds, p_keys, p_clients);
    FOR i IN 1..coalesce(cardinality(looked_up.operations), 0) LOOP
      operation := looked_up.operations[i];
      stored := looked_up.outcomes[i];
      o_known[operation] := true;
      IF stored.fingerprint <> p_fingerprints[operation]
         OR coalesce(p_clients[operation] <> coalesce(stored.client, 0), false) THEN
        o_refusals[operation] := 'IDEMPOTENCY_KEY_REUSED';
        CONTINUE;
      END IF;
      o_replays[operation] := true;
      o_refusals[operation] := stored.refusal;
      o_balances[operation] := stored.balance;
      o_versions[operation] := stored.version;
      o_amounts[operation] := stored.amount;
      o_legs[operation] := stored.refused_leg;
      o_ids[operation] := stored.operation_id;
      o_users[operation] := stored.created_user_id;
      o_times[operation] := extract(epoch FROM stored.created_at) * 1000;
      IF stored.kind IN ('capture', 'void')
         AND coalesce(stored.refusal, 'HOLD_CLOSED') = 'HOLD_CLOSED' THEN
        IF o_holds IS NULL THEN o_holds := '{NULL}'; END IF;
        o_holds[operation] := (SELECT hold_state(h) FROM holds h
                                WHERE h.user_id = stored.user_id AND h.id = stored.operation_id);
      END IF;
    END LOOP;
  END IF;

  -- 4. Decide, in order. Nothing but an opening is of 0, which one look at all finds at less than one at each.
  IF 0 = ANY (p_amounts) THEN
    FOR i IN 1..operation_count LOOP
      IF p_amounts[i] = 0 AND p_kinds[i] IS DISTINCT FROM 'opening' THEN
        RAISE EXCEPTION 'no % is of 0', coalesce(p_kinds[i], 'adjustment')
          USING ERRCODE = 'invalid_parameter_value';
      END IF;
    END LOOP;
  END IF;
  FOR i IN 1..operation_count LOOP
    IF p_groups IS NOT NULL THEN
      IF p_groups[i] IS DISTINCT FROM group_number THEN
        group_number := p_groups[i]; group_first := i; group_over := o_known[i] IS TRUE;
        group_entry_count := entry_count; group_balances := u_balances; group_versions := u_versions;
      END IF;
      IF group_number IS NOT NULL AND p_kinds[i] IS DISTINCT FROM 'transfer' THEN
        RAISE EXCEPTION 'only transfers go in groups, not: %', coalesce(p_kinds[i], 'adjustment')
          USING ERRCODE = 'invalid_parameter_value';
      END IF;
    END IF;
    CONTINUE WHEN o_known[i] OR group_over AND group_number IS NOT NULL;

    payer := p_slots[i];
    op_kind := p_kinds[i];
    asked := p_amounts[i];
    reason := NULL;

    -- An adjustment has a floor and a ceiling of its own: by the way of the others a batch of 32 on one
    -- user would take PostgreSQL 28 % more instructions.
    IF op_kind IS NULL THEN
      payer_after := u_balances[payer] + asked;
      IF payer_after IS NULL THEN
        IF asked IS NULL THEN
          RAISE EXCEPTION 'an adjustment has an amount' USING ERRCODE = 'invalid_parameter_value';
        END IF;
        reason := 'USER_NOT_FOUND';
      ELSIF p_if_versions[i] <> u_versions[payer] THEN reason := 'PRECONDITION_FAILED';
      ELSIF payer_after < coalesce(p_min_balances[i], 0) THEN reason := 'INSUFFICIENT_FUNDS';
      ELSIF payer_after + u_helds[payer] > balance_max THEN reason := 'BALANCE_LIMIT_EXCEEDED';
      ELSE
        u_balances[payer] := payer_after;
        u_versions[payer] := u_versions[payer] + 1;
        entry_count := entry_count + 1;
        e_slots[entry_count] := payer; e_versions[entry_count] := u_versions[payer];
        e_ops[entry_count] := i; e_amounts[entry_count] := asked;
        e_balances[entry_count] := payer_after;
      END IF;

    ELSE
      -- Everything else says what it would post; what is posted is the same for all.
      post_slots := '{}'::integer[];
      payer_change := NULL; payee_change := NULL;
      payee := p_to_slots[i];
      IF (CASE op_kind WHEN 'transfer' THEN asked > 0 AND payee <> payer
                       WHEN 'hold' THEN asked > 0
                       WHEN 'opening' THEN asked >= 0
                       WHEN 'capture' THEN coalesce(asked > 0, true) AND payee IS DISTINCT FROM payer
                       WHEN 'void' THEN asked IS NULL
                       WHEN 'touch' THEN asked IS NULL END) IS NOT TRUE THEN
        RAISE EXCEPTION 'there is no % of % from slot % to slot %', op_kind, asked, payer, payee
          USING ERRCODE = 'invalid_parameter_value';
      END IF;
      IF op_kind = 'opening' THEN
        IF u_balances[payer] IS NOT NULL THEN reason := 'USER_EXISTS';
        ELSIF p_if_versions[i] IS NOT NULL THEN reason := 'PRECONDITION_FAILED';
        ELSE
          u_balances[payer] := 0; u_helds[payer] := 0; u_versions[payer] := 0;
          created_slots := created_slots || payer;
          o_users[i] := p_users[payer];
          IF asked > 0 THEN
            post_slots := ARRAY[payer]; post_amounts := ARRAY[asked]; post_kinds := ARRAY['opening'];
          END IF;
        END IF;
      ELSIF u_balances[payer] IS NULL THEN reason := 'USER_NOT_FOUND';
      ELSIF p_if_versions[i] <> u_versions[payer] THEN reason := 'PRECONDITION_FAILED';
      ELSIF payee IS NOT NULL AND u_balances[payee] IS NULL THEN reason := 'RECIPIENT_NOT_FOUND';

      ELSIF op_kind = 'transfer' THEN
        payer_change := -asked; payee_change := asked;
        post_slots := ARRAY[payer, payee]; post_amounts := ARRAY[-asked, asked];
        post_kinds := ARRAY['transfer', 'transfer'];

      ELSIF op_kind = 'hold' THEN
        payer_change := -asked;
        post_slots := ARRAY[payer]; post_amounts := ARRAY[-asked]; post_kinds := ARRAY['hold'];
        -- No hold is of less than 1, so most need no counting; the others are counted once a batch.
        IF u_open[payer] IS NULL AND u_helds[payer] >= open_holds_max THEN
          SELECT count(*) INTO operation
            FROM (SELECT FROM holds h WHERE h.user_id = p_users[payer] AND h.state = 'open'
                   LIMIT open_holds_max) AS open_ones;
          u_open[payer] := operation;
        END IF;
        IF u_open[payer] >= open_holds_max THEN reason := 'HOLD_LIMIT_EXCEEDED'; END IF;

      ELSIF op_kind IN ('capture', 'void') THEN
        SELECT * INTO closing FROM holds h
         WHERE h.user_id = p_users[payer] AND h.id = p_operation_ids[i];
        asked := coalesce(asked, closing.amount);
        IF closing.id IS NULL THEN reason := 'HOLD_NOT_FOUND';
        ELSIF closing.state = 'open' AND closing.expires_at <= v_now THEN reason := 'HOLDS_DUE';
        ELSIF closing.state <> 'open' THEN reason := 'HOLD_CLOSED';
        ELSIF asked > closing.amount THEN reason := 'CAPTURE_EXCEEDS_HOLD';
        ELSIF op_kind = 'void' THEN
          -- Only gives back: neither the floor nor the ceiling is in its way.
          post_slots := ARRAY[payer]; post_amounts := ARRAY[closing.amount]; post_kinds := ARRAY['void'];
        ELSE
          payer_change := closing.amount - asked;
          post_slots := ARRAY[payer, payer]; post_amounts := ARRAY[closing.amount, -asked];
          post_kinds := ARRAY['release', 'capture'];
          IF payee IS NOT NULL THEN
            payee_change := asked;
            post_slots := post_slots || payee; post_amounts := post_amounts || asked;
            post_kinds := post_kinds || 'capture'::text;
          END IF;
        END IF;
      END IF;

      IF reason IS NULL THEN
        IF u_balances[payer] + payer_change < coalesce(p_min_balances[i], 0) THEN
          reason := 'INSUFFICIENT_FUNDS';
        ELSIF u_balances[payee] + u_helds[payee] + payee_change > balance_max THEN
          reason := 'BALANCE_LIMIT_EXCEEDED';
        ELSIF op_kind = 'hold' THEN
          holds_changed := true;
          u_helds[payer] := u_helds[payer] + asked;
          u_open[payer] := u_open[payer] + 1;
          INSERT INTO holds (user_id, id, amount, expires_at, created_at)
          VALUES (p_users[payer], p_operation_ids[i], asked,
                  v_now + p_lifetimes[i] * interval '1 second', v_now);
        ELSIF op_kind IN ('capture', 'void') THEN
          holds_changed := true;
          u_helds[payer] := u_helds[payer] - closing.amount;
          u_open[payer] := u_open[payer] - 1;
          o_amounts[i] := closing.amount;
          UPDATE holds h
             SET state = CASE op_kind WHEN 'void' THEN 'voided' ELSE 'captured' END,
                 captured = CASE op_kind WHEN 'capture' THEN asked END, closed_at = v_now
           WHERE h.user_id = closing.user_id AND h.id = closing.id
          RETURNING * INTO closing;
        END IF;
      END IF;
      IF op_kind IN ('capture', 'void') AND coalesce(reason, 'HOLD_CLOSED') = 'HOLD_CLOSED' THEN
        IF o_holds IS NULL THEN o_holds := '{NULL}'; END IF;
        o_holds[i] := hold_state(closing);
      END IF;

      IF reason IS NULL THEN
        FOR posting IN 1..cardinality(post_slots) LOOP
          party := post_slots[posting];
          u_balances[party] := u_balances[party] + post_amounts[posting];
          u_versions[party] := u_versions[party] + 1;
          entry_count := entry_count + 1;
          e_slots[entry_count] := party; e_versions[entry_count] := u_versions[party];
          e_ops[entry_count] := i; e_amounts[entry_count] := post_amounts[posting];
          e_balances[entry_count] := u_balances[party]; e_kinds[entry_count] := post_kinds[posting];
          e_ids[entry_count] := p_operation_ids[i];
        END LOOP;
      END IF;
    END IF;

    IF reason IS NOT NULL THEN
      IF reason IN ('INSUFFICIENT_FUNDS', 'HOLD_LIMIT_EXCEEDED') AND p_users[payer] = ANY (u_overdue) THEN
        reason := 'HOLDS_DUE';
      END IF;
      o_refusals[i] := reason;
      IF group_number IS NOT NULL THEN
        -- The whole group never was: back to where it began, and on with what follows it.
        group_over := true;
        o_refusals[group_first] := reason;
        o_legs[group_first] := i - group_first + 1;
        u_balances := group_balances; u_versions := group_versions;
        entry_count := group_entry_count;
        e_slots := e_slots[1:entry_count]; e_versions := e_versions[1:entry_count];
        e_ops := e_ops[1:entry_count]; e_amounts := e_amounts[1:entry_count];
        e_balances := e_balances[1:entry_count]; e_kinds := e_kinds[1:entry_count];
        e_ids := e_ids[1:entry_count];
        -- An element set later must sit at its index (see above), so they are never empty.
        IF entry_count = 0 THEN e_kinds := '{NULL}'; e_ids := '{NULL}'; END IF;
        o_balances[group_first] := u_balances[p_slots[group_first]];
        o_versions[group_first] := u_versions[p_slots[group_first]];
        CONTINUE;
      END IF;
    END IF;
    o_balances[i] := u_balances[payer];
    o_versions[i] := u_versions[payer];
    -- What is answered, and kept under the key, is how the whole group has left its first payer.
    IF group_number IS NOT NULL AND i > group_first THEN
      o_balances[group_first] := u_balances[p_slots[group_first]];
      o_versions[group_first] := u_versions[p_slots[group_first]];
    END IF;
  END LOOP;

  -- 5. Entries and balances in one statement, so that the guard on users sees both.
  IF entry_count > 0 THEN
    WITH written AS (
      INSERT INTO entries (user_id, version, amount, balance, created_at, kind, operation_id,
                           reference, metadata, actor)
      SELECT p_users[e_slots[x]], e_versions[x], e_amounts[x], e_balances[x],
             coalesce(e_times[x], greatest(v_now, u_ahead[e_slots[x]])),
             coalesce(e_kinds[x], 'adjustment'), e_ids[x],
             p_references[e_ops[x]], p_metadata[e_ops[x]], p_actors[e_ops[x]]
        FROM generate_series(1, entry_count) AS x
    )
    UPDATE users u
       SET balance = u_balances[width_bucket(u.id, p_users)],
           held = u_helds[width_bucket(u.id, p_users)],
           version = u_versions[width_bucket(u.id, p_users)],
           updated_at = greatest(v_now, u_ahead[width_bucket(u.id, p_users)]),
           next_expiry_at = CASE WHEN holds_changed THEN
             (SELECT min(h.expires_at) FROM holds h WHERE h.user_id = u.id AND h.state = 'open')
             ELSE u.next_expiry_at END
     WHERE u.id = ANY (p_users) AND u.version <> u_versions[width_bucket(u.id, p_users)];
  END IF;
  IF created_slots <> '{}' THEN
    INSERT INTO users (id, balance, held, version, next_expiry_at, created_at, updated_at)
    SELECT p_users[slot], u_balances[slot], u_helds[slot], u_versions[slot],
           (SELECT min(h.expires_at) FROM holds h
             WHERE h.user_id = p_users[slot] AND h.state = 'open'), v_now, v_now
      FROM unnest(created_slots) AS slot;
  END IF;
  -- What is not there may yet come to be, so a "not found" is not kept.
  IF p_keys IS NOT NULL THEN
    INSERT INTO idempotency_keys (user_id, key, fingerprint, kind, refusal, amount, balance, version,
                                  operation_id, created_user_id, refused_leg, created_at, client)
    SELECT CASE WHEN p_kinds[x] = 'opening' THEN creation_scope(p_keys[x], p_clients[x])
                ELSE p_users[p_slots[x]] END,
           p_keys[x], p_fingerprints[x], coalesce(p_kinds[x], 'adjustment'), o_refusals[x],
           coalesce(o_amounts[x], p_amounts[x]), o_balances[x], o_versions[x],
           p_operation_ids[x], o_users[x], o_legs[x], v_now, p_clients[x]
      FROM generate_series(1, operation_count) AS x
     WHERE p_keys[x] IS NOT NULL AND o_known[x] IS NOT TRUE
       AND coalesce(o_refusals[x], '') <> ALL
           ('{USER_NOT_FOUND,RECIPIENT_NOT_FOUND,HOLD_NOT_FOUND,USER_EXISTS,HOLDS_DUE}');
    -- Twice as many as came, so that the table shrinks to what it should hold.
    PERFORM remove_old_keys(v_now - p_key_lifetime * interval '1 second', 2 * operation_count);
  END IF;

  refusals := array_to_json(o_refusals);
  holds := array_to_json(o_holds);
  balances := array_to_json(o_balances);
  versions := array_to_json(o_versions);
  IF holds_changed OR p_keys IS NOT NULL THEN amounts := array_to_json(o_amounts); END IF;
  IF p_groups IS NOT NULL THEN refused_legs := array_to_json(o_legs); END IF;
  IF p_keys IS NOT NULL THEN
    replays := array_to_json(o_replays);
    operation_ids := array_to_json(o_ids);
    created_user_ids := array_to_json(o_users);
    times := array_to_json(o_times);
  END IF;
END $$;
