/**
 * What must be true of the tables, as queries that return what is not. Each row of an answer is a
 * finding: user_id, version, expected and found.
 *
 * Those that look at users take a range of ids, $1 < id <= $2, so that the work comes in steps
 * whose memory is bounded; entries of users that do not exist fall into a range as well.
 */

export interface Check {
  readonly name: string;
  readonly sql: string;
}

/** The first entry of each user that does not follow from the one before it. */
const chain: Check = {
  name: "chain",
  sql: `
    SELECT DISTINCT ON (user_id) user_id, version,
           CASE WHEN version <> before_version + 1 THEN 'version ' || before_version + 1
                WHEN balance <> before_balance + amount
                  THEN 'balance ' || before_balance || ' + ' || amount || ' = ' || before_balance + amount
                WHEN balance NOT BETWEEN 0 AND 9007199254740991 THEN 'a balance from 0 to 2^53 - 1'
                WHEN amount = 0 THEN 'an amount other than 0'
                ELSE 'a time not before ' || before_created_at END AS expected,
           CASE WHEN version <> before_version + 1 THEN 'version ' || version
                WHEN balance <> before_balance + amount
                  OR balance NOT BETWEEN 0 AND 9007199254740991 THEN 'balance ' || balance
                WHEN amount = 0 THEN 'amount 0'
                ELSE created_at::text END AS found
      FROM (SELECT user_id, version, amount, balance, created_at,
                   lag(version, 1, 0::bigint) OVER w AS before_version,
                   lag(balance, 1, 0::bigint) OVER w AS before_balance,
                   lag(created_at, 1, created_at) OVER w AS before_created_at
              FROM entries
             WHERE user_id > $1 AND user_id <= $2
            WINDOW w AS (PARTITION BY user_id ORDER BY version)) e
     WHERE version <> before_version + 1
        OR balance <> before_balance + amount
        OR balance NOT BETWEEN 0 AND 9007199254740991
        OR amount = 0
        OR created_at < before_created_at
     ORDER BY user_id, version`,
};

/** The user's row against the journal: balance = sum = last entry's balance, version = count. */
const balance: Check = {
  name: "balance",
  sql: `
    SELECT coalesce(u.id, e.user_id) AS user_id, coalesce(e.version, 0) AS version,
           CASE WHEN u.id IS NULL THEN 'a user'
                WHEN u.version <> coalesce(e.count, 0) THEN 'version ' || coalesce(e.count, 0)
                ELSE 'balance ' || coalesce(e.sum, 0) END AS expected,
           CASE WHEN u.id IS NULL THEN e.count || ' entries without one'
                WHEN u.version <> coalesce(e.count, 0) THEN 'version ' || u.version
                ELSE 'balance ' || u.balance END AS found
      FROM (SELECT * FROM users WHERE id > $1 AND id <= $2) u
      FULL JOIN (SELECT user_id, max(version) AS version, count(*), sum(amount)
                   FROM entries WHERE user_id > $1 AND user_id <= $2
                  GROUP BY user_id) e ON e.user_id = u.id
     WHERE u.id IS NULL
        OR u.version <> coalesce(e.count, 0)
        OR u.balance <> coalesce(e.sum, 0)
        OR u.balance NOT BETWEEN 0 AND 9007199254740991
     ORDER BY 1`,
};

/** What a user has on hold is what the open holds add up to, and its end is known in time. */
const held: Check = {
  name: "held",
  sql: `
    SELECT coalesce(u.id, h.user_id) AS user_id, coalesce(u.version, 0) AS version,
           CASE WHEN u.held = h.sum THEN 'next expiry by ' || h.expires_at
                ELSE 'held ' || coalesce(h.sum, 0) END AS expected,
           CASE WHEN u.id IS NULL THEN 'no user'
                WHEN u.held = h.sum THEN 'next expiry ' || coalesce(u.next_expiry_at::text, 'never')
                ELSE 'held ' || u.held END AS found
      FROM (SELECT * FROM users WHERE id > $1 AND id <= $2) u
      FULL JOIN (SELECT user_id, sum(amount), min(expires_at) AS expires_at FROM holds
                  WHERE state = 'open' AND user_id > $1 AND user_id <= $2
                  GROUP BY user_id) h ON h.user_id = u.id
     WHERE u.id IS NULL
        OR u.held <> coalesce(h.sum, 0)
        OR h.expires_at < coalesce(u.next_expiry_at, 'infinity')
     ORDER BY 1`,
};

/** A hold's entries say how it ended, once: what is still taken is open or was captured. */
const holds: Check = {
  name: "hold",
  sql: `
    SELECT user_id, version, 'hold ' || id || ' ' || state || ': entries ' || expected AS expected,
           'entries ' || found AS found
      FROM (SELECT coalesce(h.user_id, e.user_id) AS user_id, coalesce(e.version, 0) AS version,
                   coalesce(h.id, e.operation_id) AS id, coalesce(h.state, 'missing') AS state,
                   CASE h.state WHEN 'open'     THEN 'hold ' || -h.amount
                                WHEN 'captured' THEN 'capture ' || -h.captured
                                                     || ' hold ' || -h.amount || ' release ' || h.amount
                                WHEN 'voided'   THEN 'hold ' || -h.amount || ' void ' || h.amount
                                WHEN 'expired'  THEN 'expiry ' || h.amount || ' hold ' || -h.amount
                                ELSE 'none' END AS expected,
                   coalesce(e.found, 'none') AS found
              FROM (SELECT * FROM holds WHERE user_id > $1 AND user_id <= $2) h
              FULL JOIN (SELECT user_id, operation_id, max(version) AS version,
                                string_agg(kind || ' ' || amount, ' ' ORDER BY kind) AS found
                           FROM entries
                          WHERE kind IN ('hold', 'release', 'capture', 'void', 'expiry')
                            -- A capture that pays somebody leaves an entry there: see payments.
                            AND NOT (kind = 'capture' AND amount > 0)
                            AND user_id > $1 AND user_id <= $2
                          GROUP BY user_id, operation_id) e
                ON e.user_id = h.user_id AND e.operation_id = h.id) s
     WHERE found <> expected
     ORDER BY user_id, version`,
};

/** What an idempotency key says was applied is in the journal as it says. */
const keys: Check = {
  name: "idempotency-key",
  sql: `
    SELECT k.of_user AS user_id, k.version,
           'the entry of key ' || k.key ||
             CASE WHEN e.balance IS DISTINCT FROM k.balance THEN ' with balance ' || k.balance
                  ELSE ': ' || k.entry END AS expected,
           CASE WHEN e.version IS NULL THEN 'no such entry'
                WHEN e.balance <> k.balance THEN 'balance ' || e.balance
                ELSE e.entry END AS found
      FROM (SELECT *, CASE WHEN user_id < 0 THEN created_user_id ELSE user_id END AS of_user,
                   concat_ws(' ', kind,
                     CASE kind WHEN 'capture' THEN NULL
                               WHEN 'transfer' THEN -amount
                               WHEN 'hold' THEN -amount
                               ELSE amount END, operation_id) AS entry
              FROM idempotency_keys
             WHERE user_id > $1 AND user_id <= $2 AND refusal IS NULL AND version > 0) k
      LEFT JOIN (SELECT user_id, version, balance, kind, operation_id,
                        concat_ws(' ', kind, CASE kind WHEN 'capture' THEN NULL ELSE amount END,
                                  operation_id) AS entry
                   FROM entries) e ON e.user_id = k.of_user AND e.version = k.version
     WHERE e.version IS NULL OR e.balance <> k.balance
        OR (e.entry <> k.entry
            -- Of a batch of transfers the last leg of its first payer: ids of legs differ in their last four digits.
            AND (e.kind <> 'transfer' OR k.kind <> 'transfer' OR e.operation_id <= k.operation_id
                 OR left(e.operation_id::text, 32) <> left(k.operation_id::text, 32)))
     ORDER BY 1, 2`,
};

/**
 * Times that have not come yet: the clock was ahead once, or is behind now. The user's entries keep
 * such a time until the clock has come to it, and a key is kept for as much longer.
 */
const clock: Check = {
  name: "clock",
  sql: `
    SELECT user_id, version, 'a time not after ' || clock_timestamp() AS expected,
           what || ' at ' || at AS found
      FROM (SELECT u.id AS user_id, u.version, 'the last change' AS what,
                   greatest(u.updated_at, e.created_at) AS at
              FROM users u
              LEFT JOIN entries e ON e.user_id = u.id AND e.version = u.version
             WHERE u.id > $1 AND u.id <= $2
             UNION ALL
            SELECT user_id, NULL, 'hold ' || id, greatest(created_at, closed_at)
              FROM holds WHERE user_id > $1 AND user_id <= $2
             UNION ALL
            SELECT CASE WHEN user_id < 0 THEN created_user_id ELSE user_id END, version,
                   'key ' || key, created_at
              FROM idempotency_keys WHERE user_id > $1 AND user_id <= $2) t
     WHERE at > clock_timestamp()
     ORDER BY user_id, at DESC`,
};

/** In the order in which they name a user: the first finding about one is the nearest to the cause. */
export const userChecks: readonly Check[] = [chain, balance, held, holds, keys, clock];

/** Nothing is made or lost between users: the entries of a transfer cancel. */
export const transferCheck: Check = {
  name: "transfer",
  sql: `
    SELECT (array_agg(user_id ORDER BY user_id, version))[1] AS user_id,
           (array_agg(version ORDER BY user_id, version))[1] AS version,
           'two entries of transfer ' || operation_id || ' with sum 0' AS expected,
           count(*) || ' with sum ' || sum(amount) AS found
      FROM entries
     WHERE operation_id IS NOT NULL AND kind = 'transfer'
     GROUP BY operation_id
    HAVING sum(amount) <> 0 OR count(*) <> 2`,
};

/**
 * What a capture pays to another user is what it took, by its entry or by its hold: where those two
 * differ, that is a finding of its own about the user who paid.
 */
export const paymentCheck: Check = {
  name: "payment",
  sql: `
    SELECT c.user_id, c.version,
           'what the capture of hold ' || c.operation_id || ' took: ' || coalesce(c.took, 0)
             AS expected,
           'paid ' || c.paid AS found
      FROM (SELECT operation_id, -sum(amount) FILTER (WHERE amount < 0) AS took,
                   sum(amount) FILTER (WHERE amount > 0) AS paid,
                   (array_agg(user_id ORDER BY amount < 0, user_id))[1] AS user_id,
                   (array_agg(version ORDER BY amount < 0, user_id))[1] AS version
              FROM entries
             WHERE operation_id IS NOT NULL AND kind = 'capture'
             GROUP BY operation_id) c
      LEFT JOIN holds h ON h.id = c.operation_id
     WHERE c.paid <> coalesce(c.took, 0) AND c.paid <> coalesce(h.captured, 0)`,
};

/** The guards that let nobody change a balance past the journal: there, enabled, valid, and what they call. */
export const guardCheck: Check = {
  name: "guard",
  sql: `
    SELECT NULL::bigint AS user_id, NULL::bigint AS version, g.kind || ' ' || g.name AS expected,
           coalesce(g.state, 'missing') AS found
      FROM (SELECT w.kind, w.name,
                   CASE w.kind
                     WHEN 'trigger' THEN
                       (SELECT CASE WHEN t.tgenabled NOT IN ('O', 'A') THEN 'disabled or not valid'
                                    WHEN t.tgfoid <> coalesce(to_regproc(w.function), 0)
                                      THEN 'calls ' || t.tgfoid::regproc || '()'
                                    ELSE 'well' END
                          FROM pg_trigger t
                         WHERE t.tgrelid = w.rel::regclass AND t.tgname = w.name)
                     ELSE (SELECT CASE WHEN c.convalidated THEN 'well'
                                       ELSE 'disabled or not valid' END
                             FROM pg_constraint c
                            WHERE c.conrelid = w.rel::regclass AND c.conname = w.name) END AS state
              FROM (VALUES ('trigger', 'entries', 'entries_append_only', 'refuse_entry_change'),
                           ('trigger', 'users', 'users_keep_history', 'refuse_user_removal'),
                           ('trigger', 'users', 'users_balance_has_entry_on_insert',
                            'refuse_balance_without_entry'),
                           ('trigger', 'users', 'users_balance_has_entry_on_update',
                            'refuse_balance_without_entry'),
                           ('trigger', 'users', 'users_held_has_entries_on_insert',
                            'refuse_held_without_entries'),
                           ('trigger', 'users', 'users_held_has_entries_on_update',
                            'refuse_held_without_entries'),
                           ('trigger', 'holds', 'holds_only_end', 'refuse_hold_change'),
                           ('trigger', 'holds', 'holds_stay', 'refuse_hold_change'),
                           ('trigger', 'holds', 'holds_have_entry', 'refuse_hold_without_entry'),
                           ('trigger', 'idempotency_keys', 'idempotency_keys_keep_outcome',
                            'refuse_key_change'),
                           ('trigger', 'audit', 'audit_append_only', 'refuse_audit_change'),
                           ('trigger', 'tokens', 'tokens_count_change', 'count_access_change'),
                           ('constraint', 'access_state', 'access_state_pkey', NULL),
                           ('constraint', 'access_state', 'access_state_one_check', NULL),
                           ('constraint', 'actors', 'actors_pkey', NULL),
                           ('constraint', 'actors', 'actors_once', NULL),
                           ('constraint', 'actors', 'actors_kind_known', NULL),
                           ('constraint', 'actors', 'actors_name_length', NULL),
                           ('constraint', 'audit', 'audit_pkey', NULL),
                           ('constraint', 'tokens', 'tokens_pkey', NULL),
                           ('constraint', 'tokens', 'tokens_digest_key', NULL),
                           ('constraint', 'tokens', 'tokens_scope_known', NULL),
                           ('constraint', 'tokens', 'tokens_client_length', NULL),
                           ('constraint', 'tokens', 'tokens_rate_positive', NULL),
                           ('constraint', 'users', 'users_pkey', NULL),
                           ('constraint', 'users', 'users_id_range', NULL),
                           ('constraint', 'users', 'users_balance_range', NULL),
                           ('constraint', 'users', 'users_held_range', NULL),
                           ('constraint', 'users', 'users_version_range', NULL),
                           ('constraint', 'entries', 'entries_pkey', NULL),
                           ('constraint', 'entries', 'entries_version_range', NULL),
                           ('constraint', 'entries', 'entries_amount_not_zero', NULL),
                           ('constraint', 'entries', 'entries_balance_range', NULL),
                           ('constraint', 'entries', 'entries_kind_known', NULL),
                           ('constraint', 'holds', 'holds_pkey', NULL),
                           ('constraint', 'holds', 'holds_amount_positive', NULL),
                           ('constraint', 'holds', 'holds_captured_range', NULL),
                           ('constraint', 'holds', 'holds_state_known', NULL),
                           ('constraint', 'holds', 'holds_captured_when', NULL),
                           ('constraint', 'holds', 'holds_closed_when', NULL),
                           ('constraint', 'idempotency_keys', 'idempotency_keys_pkey', NULL),
                           ('constraint', 'batch_receipts', 'batch_receipts_pkey', NULL),
                           ('constraint', 'idempotency_keys', 'idempotency_keys_key_length', NULL))
                   AS w (kind, rel, name, function)) g
     WHERE g.state IS DISTINCT FROM 'well'`,
};
