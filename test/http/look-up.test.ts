/** What became of a request, asked while it is on its way in another process. */
import { expect, test } from "vitest";
import { openFunction } from "../support/database/apply-operations.ts";
import { createTestDatabase } from "../support/database/database.ts";
import { lockUser, untilLockIsWaitedFor } from "../support/database/locked-user.ts";
import { exchange, expectError } from "../support/http/client.ts";
import { serveInProcess } from "../support/server/in-process.ts";

const url = await createTestDatabase();
const bounds = { lockTimeoutMs: 60_000, statementTimeoutMs: 60_000 };
const { url: origin } = await serveInProcess(url, bounds);
const elsewhere = await openFunction(url);
await elsewhere.client.query("SET application_name = 'balancectl'");
const look = (key: string) => exchange(origin, { path: `/api/users/1/operations/${key}` });

test("a change that waits for a lock is not 'not found': it is waited for", async () => {
  const lock = await lockUser(url, 1);
  const change = elsewhere.apply([{ user: 1, amount: -2, key: "order-1", fingerprint: "f" }]);
  await untilLockIsWaitedFor(url);
  const looked = look("order-1");
  await untilLockIsWaitedFor(url, 2);
  await lock.release();
  expect(await change).toMatchObject([{ refusal: null, balance: 9_998 }]);
  expect(await looked).toMatchObject({ status: 200, body: { data: { balance: 9_998 } } });
});

test("what was never asked is not found, also of a user that is not there", async () => {
  const notStored = "No operation is stored under this Idempotency-Key";
  expectError(await look("order-2"), "OPERATION_NOT_FOUND", notStored);
  const nobodys = await exchange(origin, { path: "/api/users/99/operations/order-2" });
  expectError(nobodys, "OPERATION_NOT_FOUND", notStored);
});
