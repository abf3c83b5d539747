/** The list of a user's holds: the open ones first, page by page, by cursors that are its own. */
import { createHash } from "node:crypto";
import { beforeEach, expect, test } from "vitest";
import { encodeCursor } from "../../src/http/cursor.ts";
import { createTestDatabase } from "../support/database/database.ts";
import { createApiClient, expectError, unknownUuid } from "../support/http/client.ts";
import { serveInProcess } from "../support/server/in-process.ts";

const server = await serveInProcess(await createTestDatabase());
const api = createApiClient(server.url);

let user = 0;
let other = 0;

beforeEach(async () => {
  user = await api.openUser(100);
  other = await api.openUser(0);
});

interface Hold {
  readonly id: string;
}

const holdsOf = (userId = user) => `/api/users/${userId}/holds`;

async function hold(amount: number): Promise<string> {
  const { body } = await api.post<Hold>(holdsOf(), { amount });
  return body.data?.id as string;
}

interface Page {
  readonly holds: Hold[];
  readonly nextCursor: string | null;
}

test("has the open ones first, the newest first, page by page", async () => {
  const ids: string[] = [];
  for (let index = 0; index < 7; index++) ids.push(await hold(1));
  for (const index of [1, 4, 6]) await api.post(`${holdsOf()}/${ids[index]}/void`);
  const expected = [5, 3, 2, 0, 6, 4, 1].map((index) => ids[index]);
  for (const limit of [1, 2, 3, 4, 5, 7, 100]) {
    const seen: string[] = [];
    let path = `${holdsOf()}?limit=${limit}`;
    for (;;) {
      const { headers, body } = await api.get<Page>(path);
      const { holds = [], nextCursor = null } = body.data ?? {};
      seen.push(...holds.map(({ id }) => id));
      const link = headers.get("link");
      if (nextCursor === null) {
        expect(link).toBeNull();
        break;
      }
      path = `${holdsOf()}?limit=${limit}&cursor=${nextCursor}`;
      expect(link).toBe(`<${path}>; rel="next"`);
      expect(holds.length).toBe(limit);
    }
    expect(seen).toEqual(expected);
  }
});

test("is empty for a user without any", async () => {
  const { status, body } = await api.get(holdsOf());
  expect([status, body.data]).toEqual([200, { holds: [], nextCursor: null }]);
});

test("takes no cursor but its own", async () => {
  await hold(1);
  await hold(1);
  const { body } = await api.get<Page>(`${holdsOf()}?limit=1`);
  const mine = body.data?.nextCursor as string;
  const foreign = await api.get(`${holdsOf(other)}?cursor=${mine}`);
  expectError(foreign, "INVALID_REQUEST", "cursor belongs to the holds of another user");
  const notOurs = "cursor is not one that this list gave; begin again without it";
  const sum = createHash("sha256").update("balancectl cursor ").digest("base64url").slice(0, 12);
  const signedNothing = Buffer.from(sum).toString("base64url");
  const position = { holdsOf: user, open: true, before: unknownUuid };
  const forged: [what: string, cursor: string][] = [
    ["nothing", ""],
    ["made up", "abc"],
    ["cut", mine.slice(0, -3)],
    ["altered", `${mine.slice(0, -6)}AAAAAA`],
    ["nothing, with a right check sum", signedNothing],
    ["not signed", Buffer.from(JSON.stringify(position)).toString("base64url")],
    ["of another list", encodeCursor({ users: "id", after: 1 })],
    // With a right check sum, which is no secret.
    ["before what is no hold's id", encodeCursor({ ...position, before: "x" })],
    ["open or not", encodeCursor({ ...position, open: 1 })],
  ];
  for (const [what, cursor] of forged) {
    const answer = await api.get(`${holdsOf()}?cursor=${cursor}`);
    expect([what, answer.status, answer.body.error]).toEqual([
      what,
      400,
      { code: "INVALID_REQUEST", message: notOurs },
    ]);
  }
});

test.each([
  ["limit=0", 'limit must be a whole number from 1 to 1000 (it is "0")'],
  ["limit=1001", 'limit must be a whole number from 1 to 1000 (it is "1001")'],
  ["limit=x", 'limit must be a whole number from 1 to 1000 (it is "x")'],
  ["state=open", 'query has no field "state"'],
])("refuses %s", async (query, message) => {
  expectError(await api.get(`${holdsOf()}?${query}`), "INVALID_REQUEST", message);
});
