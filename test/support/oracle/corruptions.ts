/** What can be done to the tables past the guards, and what verify must say about each. */
import { expect } from "vitest";
import type { Finding } from "../../../src/ledger/verify.ts";
import { ids } from "./healthy-ledger.ts";

export interface Corruption {
  readonly what: string;
  readonly sql: string;
  readonly findings: readonly Finding[];
  /** Beside the healthy ones. */
  readonly users?: number;
  readonly entries?: number;
}

const find = (
  userId: number | null,
  version: number | null,
  check: string,
  expected: string,
  found: string,
): Finding => ({ userId, version, check, expected, found });

/** Sets what user 18, whose only entry is the transfer from 17, has. */
const user18 = (balance: number, version = 1) =>
  `UPDATE users SET balance = ${balance}, version = ${version} WHERE id = 18`;
/** Adds entries to the end of user 11, who has 50 at version 4. */
function append(entries: readonly [amount: number, kind: string, id?: string][]): string {
  let [balance, version] = [50, 4];
  const values = entries.map(([amount, kind, id]) => {
    balance += amount;
    version += 1;
    return `(11, ${version}, ${amount}, ${balance}, '${kind}', ${id ? `'${id}'` : "NULL"}, '2021-01-01Z')`;
  });
  return `INSERT INTO entries (user_id, version, amount, balance, kind, operation_id, created_at)
          VALUES ${values.join(", ")};
          UPDATE users SET balance = ${balance}, version = ${version} WHERE id = 11`;
}

export const chainCorruptions: readonly Corruption[] = [
  {
    what: "a changed amount",
    sql: "UPDATE entries SET amount = -31 WHERE user_id = 11 AND version = 2",
    findings: [find(11, 2, "chain", "balance 100 + -31 = 69", "balance 70")],
  },
  {
    what: "a changed opening",
    sql: "UPDATE entries SET amount = 101 WHERE user_id = 11 AND version = 1",
    findings: [find(11, 1, "chain", "balance 0 + 101 = 101", "balance 100")],
  },
  {
    what: "the changed balance of an entry",
    sql: "UPDATE entries SET balance = 76 WHERE user_id = 11 AND version = 3",
    findings: [find(11, 3, "chain", "balance 70 + 5 = 75", "balance 76")],
  },
  {
    what: "a deleted entry in the middle",
    sql: "DELETE FROM entries WHERE user_id = 11 AND version = 2",
    findings: [find(11, 3, "chain", "version 2", "version 3")],
    entries: -1,
  },
  {
    what: "a deleted first entry",
    sql: "DELETE FROM entries WHERE user_id = 11 AND version = 1",
    findings: [find(11, 2, "chain", "version 1", "version 2")],
    entries: -1,
  },
  {
    what: "a deleted last entry",
    sql: "DELETE FROM entries WHERE user_id = 11 AND version = 4",
    findings: [find(11, 3, "balance", "version 3", "version 4")],
    entries: -1,
  },
  {
    what: "all entries deleted",
    sql: "DELETE FROM entries WHERE user_id = 11",
    findings: [find(11, 0, "balance", "version 0", "version 4")],
    entries: -4,
  },
  {
    what: "swapped versions",
    sql: `UPDATE entries SET version = 9 WHERE user_id = 11 AND version = 2;
          UPDATE entries SET version = 2 WHERE user_id = 11 AND version = 3;
          UPDATE entries SET version = 3 WHERE user_id = 11 AND version = 9`,
    findings: [find(11, 2, "chain", "balance 100 + 5 = 105", "balance 75")],
  },
  {
    what: "a negative balance",
    sql: `ALTER TABLE entries DROP CONSTRAINT entries_balance_range;
          ALTER TABLE users DROP CONSTRAINT users_balance_range;
          UPDATE entries SET balance = balance - 75 WHERE user_id = 11 AND version > 1;
          UPDATE entries SET amount = amount - 75 WHERE user_id = 11 AND version = 2;
          UPDATE users SET balance = balance - 75 WHERE id = 11`,
    findings: [
      find(11, 2, "chain", "a balance from 0 to 2^53 - 1", "balance -5"),
      find(null, null, "guard", "constraint users_balance_range", "missing"),
      find(null, null, "guard", "constraint entries_balance_range", "missing"),
    ],
  },
  {
    what: "an entry over nothing",
    sql: `ALTER TABLE entries DROP CONSTRAINT entries_amount_not_zero; ${append([[0, "adjustment"]])}`,
    findings: [
      find(11, 5, "chain", "an amount other than 0", "amount 0"),
      find(null, null, "guard", "constraint entries_amount_not_zero", "missing"),
    ],
    entries: 1,
  },
  {
    what: "an entry that is older than the one before it",
    sql: "UPDATE entries SET created_at = '2019-12-31Z' WHERE user_id = 11 AND version = 3",
    findings: [
      find(11, 3, "chain", "a time not before 2020-01-01 00:00:04+00", "2019-12-31 00:00:00+00"),
    ],
  },
  {
    what: "a version beyond what JavaScript counts",
    sql: `INSERT INTO entries (user_id, version, amount, balance, kind, created_at)
          VALUES (11, 9223372036854775807, 1, 51, 'adjustment', '2021-01-01Z')`,
    findings: [expect.objectContaining({ userId: 11, check: "chain", expected: "version 5" })],
    entries: 1,
  },
];

export const usersCorruptions: readonly Corruption[] = [
  {
    what: "the changed balance of a user",
    sql: "UPDATE users SET balance = 51 WHERE id = 11",
    findings: [find(11, 4, "balance", "balance 50", "balance 51")],
  },
  {
    what: "money for a user who never had any",
    sql: "UPDATE users SET balance = 5 WHERE id = 12",
    findings: [find(12, 0, "balance", "balance 0", "balance 5")],
  },
  {
    what: "the changed version of a user",
    sql: "UPDATE users SET version = 5 WHERE id = 11",
    findings: [find(11, 4, "balance", "version 4", "version 5")],
  },
  {
    what: "a version of a user beyond what JavaScript counts",
    sql: "UPDATE users SET version = 9223372036854775807 WHERE id = 11",
    findings: [find(11, 4, "balance", "version 4", "version 9223372036854775807")],
  },
  {
    what: "a deleted user",
    sql: "DELETE FROM users WHERE id = 11",
    findings: [find(11, 4, "balance", "a user", "4 entries without one")],
    users: -1,
  },
  ...[5, 900_000_000_000_000, -5, 0].map((id) => ({
    what: `an entry of nobody, ${id}`,
    sql: `INSERT INTO entries (user_id, version, amount, balance, kind, created_at)
          VALUES (${id}, 1, 5, 5, 'opening', '2020-01-01Z')`,
    findings: [find(id, 1, "balance", "a user", "1 entries without one")],
    entries: 1,
  })),
  {
    what: "more on hold than the holds say",
    sql: "UPDATE users SET held = 101 WHERE id = 15",
    findings: [find(15, 13, "held", "held 100", "held 101")],
  },
  {
    what: "a hold that nobody will ever give back",
    sql: "UPDATE users SET next_expiry_at = NULL WHERE id = 17",
    findings: [expect.objectContaining({ userId: 17, version: 3 })],
  },
];

const holdText = (id: string, text: string) => `hold ${id} ${text}`;
export const holdsCorruptions: readonly Corruption[] = [
  {
    what: "a captured hold that is open again",
    sql: `UPDATE holds SET state = 'open', captured = NULL, closed_at = NULL WHERE id = '${ids.captured}'`,
    findings: [find(15, 13, "held", "held 150", "held 100")],
  },
  {
    what: "the same, and counted",
    sql: `UPDATE holds SET state = 'open', captured = NULL, closed_at = NULL WHERE id = '${ids.captured}';
          UPDATE users SET held = 150 WHERE id = 15`,
    findings: [
      find(
        15,
        6,
        "hold",
        holdText(ids.captured, "open: entries hold -50"),
        "entries capture -30 hold -50 release 50",
      ),
    ],
  },
  {
    what: "a voided hold that is said to have expired",
    sql: `UPDATE holds SET state = 'expired' WHERE id = '${ids.voided}'`,
    findings: [
      find(
        15,
        8,
        "hold",
        holdText(ids.voided, "expired: entries expiry 20 hold -20"),
        "entries hold -20 void 20",
      ),
    ],
  },
  {
    what: "a capture that took more than it says",
    sql: `UPDATE holds SET captured = 29 WHERE id = '${ids.captured}'`,
    findings: [
      find(
        15,
        6,
        "hold",
        holdText(ids.captured, "captured: entries capture -29 hold -50 release 50"),
        "entries capture -30 hold -50 release 50",
      ),
    ],
  },
  {
    what: "an open hold that is gone",
    sql: `DELETE FROM holds WHERE id = '${ids.open}'; UPDATE users SET held = 0 WHERE id = 15`,
    findings: [
      find(15, 3, "hold", holdText(ids.open, "missing: entries none"), "entries hold -100"),
    ],
  },
  {
    what: "a hold without entries",
    sql: `INSERT INTO holds (user_id, id, amount, created_at) VALUES (12, '${ids.open}', 1, '2020-01-01Z');
          UPDATE users SET held = 1 WHERE id = 12`,
    findings: [find(12, 0, "hold", holdText(ids.open, "open: entries hold -1"), "entries none")],
  },
  {
    what: "a hold that was given back twice",
    sql: `INSERT INTO entries (user_id, version, amount, balance, kind, operation_id, created_at)
          VALUES (15, 14, 20, 90, 'void', '${ids.voided}', '2021-01-01Z');
          UPDATE users SET balance = 90, version = 14 WHERE id = 15`,
    findings: [
      find(
        15,
        14,
        "hold",
        holdText(ids.voided, "voided: entries hold -20 void 20"),
        "entries hold -20 void 20 void 20",
      ),
    ],
    entries: 1,
  },
  {
    what: "a hold that was captured twice",
    sql: `INSERT INTO entries (user_id, version, amount, balance, kind, operation_id, created_at)
          VALUES (15, 14, -30, 40, 'capture', '${ids.captured}', '2021-01-01Z');
          UPDATE users SET balance = 40, version = 14 WHERE id = 15`,
    findings: [
      find(
        15,
        14,
        "hold",
        holdText(ids.captured, "captured: entries capture -30 hold -50 release 50"),
        "entries capture -30 capture -30 hold -50 release 50",
      ),
    ],
    entries: 1,
  },
  {
    what: "another user's hold given back",
    sql: append([[20, "void", ids.voided]]),
    findings: [
      find(11, 5, "hold", holdText(ids.voided, "missing: entries none"), "entries void 20"),
    ],
    entries: 1,
  },
];

export const betweenCorruptions: readonly Corruption[] = [
  {
    what: "a transfer that nobody received",
    sql: `DELETE FROM entries WHERE user_id = 18; ${user18(0, 0)}`,
    findings: [
      find(
        17,
        2,
        "transfer",
        `two entries of transfer ${ids.lastTransfer} with sum 0`,
        "1 with sum -7",
      ),
    ],
    entries: -1,
  },
  {
    what: "a transfer that brought more than it took",
    sql: `UPDATE entries SET amount = 8, balance = 8 WHERE user_id = 18; ${user18(8)}`,
    findings: [
      find(
        17,
        2,
        "transfer",
        `two entries of transfer ${ids.lastTransfer} with sum 0`,
        "2 with sum 1",
      ),
    ],
  },
  {
    what: "a transfer with two more sides that cancel",
    sql: append([
      [7, "transfer", ids.lastTransfer],
      [-7, "transfer", ids.lastTransfer],
    ]),
    findings: [
      find(
        11,
        5,
        "transfer",
        `two entries of transfer ${ids.lastTransfer} with sum 0`,
        "4 with sum 0",
      ),
    ],
    entries: 2,
  },
  {
    what: "a payment of more than the capture took",
    sql: `UPDATE entries SET amount = 31, balance = 32 WHERE user_id = 16 AND version = 2;
          UPDATE users SET balance = 32 WHERE id = 16`,
    findings: [
      find(16, 2, "payment", `what the capture of hold ${ids.captured} took: 30`, "paid 31"),
    ],
  },
  {
    what: "a payment out of a capture that never was",
    sql: append([[9, "capture", ids.voided]]),
    findings: [find(11, 5, "payment", `what the capture of hold ${ids.voided} took: 0`, "paid 9")],
    entries: 1,
  },
  {
    what: "a capture that paid two users",
    sql: append([[30, "capture", ids.captured]]),
    findings: [expect.objectContaining({ check: "payment" })],
    entries: 1,
  },
];

const key = (user: number, name: string, change: string) =>
  `UPDATE idempotency_keys SET ${change} WHERE user_id = ${user} AND key = '${name}'`;
export const keysCorruptions: readonly Corruption[] = [
  {
    what: "a key that tells another balance",
    sql: key(11, "adjustment", "balance = 71"),
    findings: [
      find(11, 2, "idempotency-key", "the entry of key adjustment with balance 71", "balance 70"),
    ],
  },
  {
    what: "a key for an entry that is not there",
    sql: key(11, "adjustment", "version = 9"),
    findings: [
      find(
        11,
        9,
        "idempotency-key",
        "the entry of key adjustment with balance 70",
        "no such entry",
      ),
    ],
  },
  ...(
    [
      ["a key that tells another amount", 11, 2, key(11, "adjustment", "amount = -3")],
      ["a transfer's key that tells another amount", 13, 2, key(13, "transfer", "amount = 19")],
      [
        "a transfer's key that names another transfer",
        13,
        2,
        key(13, "transfer", `operation_id = '${ids.lastTransfer}'`),
      ],
      ["a refusal that became a success", 11, 4, key(11, "refused", "refusal = NULL")],
      [
        "the key of an opening that tells another balance",
        15,
        1,
        "UPDATE idempotency_keys SET balance = 201 WHERE key = 'opening'",
      ],
    ] as const
  ).map(([what, userId, version, sql]) => ({
    ...{ what, sql },
    findings: [expect.objectContaining({ userId, version, check: "idempotency-key" })],
  })),
];

export const clockCorruptions: readonly Corruption[] = [
  {
    what: "a last change that has not come yet",
    sql: `UPDATE entries SET created_at = '2999-01-01Z' WHERE user_id = 11 AND version = 4;
          UPDATE users SET updated_at = '2999-01-01Z' WHERE id = 11`,
    findings: [fromTheFuture(11, 4, "the last change")],
  },
  {
    what: "a hold that has not come yet",
    sql: `UPDATE holds SET created_at = '2999-01-01Z' WHERE id = '${ids.open}'`,
    findings: [fromTheFuture(15, null, `hold ${ids.open}`)],
  },
  {
    what: "the key of a creation that has not come yet",
    sql: "UPDATE idempotency_keys SET created_at = '2999-01-01Z' WHERE key = 'opening'",
    findings: [fromTheFuture(15, 1, "key opening")],
  },
];

function fromTheFuture(userId: number, version: number | null, what: string): Finding {
  const expected = expect.stringMatching(/^a time not after 20\d\d-/);
  return find(userId, version, "clock", expected, `${what} at 2999-01-01 00:00:00+00`);
}
