/**
 * Fingerprints as they are stored. A change here breaks retries that span an upgrade: let the old form
 * stand beside the new one, under another number, until the keys of the old one are past.
 */
import { expect, test } from "vitest";
import type { Operation } from "../../src/ledger/operation.ts";
import {
  adjustment,
  capture,
  hold,
  opening,
  transfer,
  transferBatch,
  voidHold,
} from "../../src/ledger/request.ts";

const key = { idempotencyKey: "k" };
const all = {
  ...key,
  reference: "order 17",
  metadata: { b: [1, { d: null, c: "x" }], a: 0.5 },
  ifVersion: 12,
  minBalance: 3,
};
const holdId = "01890a5d-ac96-774b-bcce-b302099a8057";

test.each<[string, Operation, string]>([
  ["an adjustment", adjustment(1, -2, key), '1:["adjustment",-2]'],
  [
    "with a version",
    adjustment(1, -2, { ...key, ifVersion: 0 }),
    '1:["adjustment",-2,null,null,0]',
  ],
  [
    "with a least balance",
    adjustment(1, -2, { ...key, minBalance: 0 }),
    '1:["adjustment",-2,null,null,null,0]',
  ],
  [
    "with metadata in another order",
    adjustment(1, 5, { ...key, metadata: { b: 1, a: { d: 1, c: 2 } } }),
    '1:["adjustment",5,null,{"a":{"c":2,"d":1},"b":1}]',
  ],
  ["with all of it", adjustment(1, -2, all), "1:ZKDo5xvuojIFiWaudc62l5pxnkFqlEOKXUyHCf1f3tY"],
  ["an opening", opening(7, 100, undefined, key), '1:["opening",100]'],
  ["an opening of an id", opening(7, 100, 7, key), '1:["opening",100,7]'],
  ["a transfer", transfer({ from: 1, to: 2, amount: 5 }, key), '1:["transfer",1,2,5]'],
  [
    "a batch",
    transferBatch([{ from: 1, to: 2, amount: 5 }], key),
    '1:["transfer",[{"amount":5,"from":1,"to":2}]]',
  ],
  ["a hold", hold(1, 40, undefined, key), '1:["hold",40]'],
  ["a hold that ends", hold(1, 40, 60, key), '1:["hold",40,60]'],
  [
    "a capture",
    capture({ userId: 1, holdId }, key),
    '1:["capture","01890a5d-ac96-774b-bcce-b302099a8057"]',
  ],
  [
    "a capture of a part",
    capture({ userId: 1, holdId, amount: 5, to: 2 }, key),
    '1:["capture","01890a5d-ac96-774b-bcce-b302099a8057",5,2]',
  ],
  ["a void", voidHold(1, holdId, key), '1:["void","01890a5d-ac96-774b-bcce-b302099a8057"]'],
])("%s", (_name, { idempotency }, stored) => {
  expect(idempotency?.fingerprint).toBe(stored);
});
