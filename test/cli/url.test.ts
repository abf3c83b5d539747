/** Commands with --url do on a server what they do on the database, and print the same. */
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { afterFile } from "../support/cleanup.ts";
import { createTestDatabase } from "../support/database/database.ts";
import { freePort } from "../support/database/listening.ts";
import { startScriptedServer } from "../support/http/scripted-server.ts";
import { commandLine, failure, runHere } from "../support/server/command-line.ts";
import { serveInProcess } from "../support/server/in-process.ts";
import { startServer } from "../support/server/program.ts";

const direct = commandLine(await createTestDatabase());
const served = await serveInProcess(await createTestDatabase());
// A database that is not there: nobody asks for it.
const nowhere = { DATABASE_URL: "postgres://nobody@127.0.0.1:1/none" };
const onServer = (...args: string[]) => runHere([...args, "--url", served.url], nowhere);

/**
 * Ids and times are another's in each ledger: each by the order in which it was seen. Who asks is known where the
 * command line works on the database, and not by a server without tokens.
 */
function normalized(): (text: string) => string {
  const seen = new Map<string, string>();
  const shape = /[\da-f]{8}-[\da-f-]{27}|\d{4}-\d\d-\d\dT[\d:.]+Z/g;
  return (text) =>
    text.replace(/,"actor":"os:[^"]*"/g, "").replace(shape, (one) => {
      const kind = one.includes("T") ? "time" : "id";
      const known = kind === "time" ? "time" : (seen.get(one) ?? `id ${seen.size}`);
      seen.set(one, known);
      return known;
    });
}

const inDatabase = normalized();
const overHttp = normalized();
const holds: { database: string[]; server: string[] } = { database: [], server: [] };

const write = ["--reference", "order 17", "--metadata", '{"lines":[1,2]}'];
test.each<[args: string[], code?: number]>([
  [["users", "create", "--id", "2", "--balance", "500", "--reference", "the shop"]],
  [["users", "create", "--balance", "0", "--json"]],
  [["users", "create", "--id", "2"], 3],
  [["adjust", "1", "-2"]],
  [["adjust", "1", "1500", ...write, "--json"]],
  [["adjust", "1", "7", "--idempotency-key", "k-1"]],
  [["adjust", "1", "7", "--idempotency-key", "k-1"]],
  [["adjust", "1", "8", "--idempotency-key", "k-1"], 3],
  [["adjust", "1", "-1000000"], 3],
  [["adjust", "1", "-1000000", "--json"], 3],
  [["adjust", "99", "1"], 3],
  [["transfer", "1", "2", "25", ...write]],
  [["transfer", "1", "2", "25", "--json"]],
  [["transfer", "1", "1", "25"], 2],
  [["hold", "1", "40", "--expires-in", "3600"]],
  [["hold", "1", "30", "--json"]],
  [["hold", "1", "20"]],
  [["holds", "1"]],
  [["capture", "1", "HOLD 0", "--amount", "30", "--to", "2"]],
  [["capture", "1", "HOLD 1", "--json"]],
  [["void", "1", "HOLD 2"]],
  [["void", "1", "HOLD 2"], 3],
  [["holds", "1", "--json"]],
  [["holds", "1", "--limit", "2", "--json"]],
  [["holds", "1", "--limit", "2"]],
  [["holds", "2"]],
  [["holds", "99"], 3],
  [["history", "1"]],
  [["history", "1", "--json", "--order", "asc"]],
  [["history", "1", "--csv", "--limit", "3"]],
  [["history", "1", "--from", "2026-01-01T00:00:00Z", "--to", "2026-01-02T00:00:00Z"]],
  [["history", "99"], 3],
  [["users", "list"]],
  [["users", "list", "--limit", "2"]],
  [["users", "list", "--after", "1", "--limit", "1", "--json"]],
  [["users", "list", "--after", "3"]],
  [["users", "show", "1"]],
  [["users", "show", "2", "--json"]],
  [["users", "show", "99"], 3],
])("%j", async (args, code = 0) => {
  const withHolds = (ids: string[]) =>
    args.map((arg) => arg.replace(/^HOLD (\d)$/, (_, at) => ids[Number(at)] ?? "none"));
  const database = await direct.run(...withHolds(holds.database));
  const server = await onServer(...withHolds(holds.server));
  if (args[0] === "hold") {
    for (const [list, { stdout }] of [
      [holds.database, database],
      [holds.server, server],
    ] as const) {
      list.push(/[\da-f]{8}-[\da-f-]{27}/.exec(stdout)?.[0] as string);
    }
  }
  expect([args, server.code, overHttp(server.stdout)]).toEqual([
    ...[args, code, inDatabase(database.stdout)],
  ]);
  expect(database.code).toBe(code);
  expect(server.stderr.replace(`Asking ${served.url}\n`, "")).toBe(
    database.stderr.replace("Connecting to the database\n", ""),
  );
});

test("a list that takes several requests", async () => {
  const opened = Array.from({ length: 1_005 }, () => served.ledger.openUser({ balance: 0 }));
  await Promise.all(opened);
  const { stdout } = await onServer("users", "list", "--limit", "1002", "--json");
  const { data } = JSON.parse(stdout) as { data: { users: unknown[]; next: number } };
  expect([data.users.length, data.next]).toEqual([1_002, 1_002]);
});

test("the program as it is built", async () => {
  const { url } = await startServer({ DATABASE_URL: await createTestDatabase() });
  const cli = commandLine("postgres://nobody@127.0.0.1:1/none");
  const { code, stdout } = await cli.spawn("adjust", "1", "-2", "--url", url);
  expect([code, stdout]).toEqual([0, "User 1: 10,000 → 9,998 (-2)\n"]);
});

describe("the token", () => {
  const data = { id: 1, balance: 8, previousBalance: 10, amount: -2 };
  const adjust = ["adjust", "1", "-2", "--json"];

  async function sentWith(env: Record<string, string>, ...more: string[]) {
    const server = await startScriptedServer();
    const asked = server.script({ status: 200, body: { success: true, data } });
    const { code, stdout } = await runHere([...adjust, "--url", server.url, ...more], env);
    return { code, stdout, sent: asked.map(({ headers }) => headers.authorization) };
  }

  async function fileWith(text: string, mode: number): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), "balancectl-token-"));
    afterFile(() => rm(folder, { recursive: true, force: true }));
    const path = join(folder, "token");
    await writeFile(path, text);
    await chmod(path, mode);
    return path;
  }

  test("none is sent where there is none", async () => {
    expect((await sentWith({})).sent).toEqual([undefined]);
  });

  test("comes from the environment, or from a file that nobody else may read", async () => {
    const path = await fileWith("t-2\n", 0o600);
    const sent = [
      await sentWith({ BALANCECTL_TOKEN: "t-1" }),
      await sentWith({ BALANCECTL_TOKEN_FILE: path }),
      await sentWith({ BALANCECTL_TOKEN: "t-1" }, "--token-file", path),
    ];
    expect(sent.map(({ sent: [token] }) => token)).toEqual([
      ...["Bearer t-1", "Bearer t-2", "Bearer t-2"],
    ]);
  });

  test.each<[what: string, mode: number, rights: string]>([
    ["its group", 0o640, "640"],
    ["everybody", 0o604, "604"],
  ])("of a file that %s may read is not sent, nor shown", async (_what, mode, rights) => {
    const path = await fileWith("secret-token", mode);
    const { code, stdout, sent } = await sentWith({ BALANCECTL_TOKEN_FILE: path });
    const why = `others may read or write it (mode ${rights}): chmod 600 ${path}`;
    expect({ code, stdout, sent }).toEqual({
      ...{ code: 2, sent: [] },
      stdout: failure("CONFIG_INVALID", `BALANCECTL_TOKEN_FILE ${path}: ${why}`).stdout,
    });
  });

  test("that is no token", async () => {
    const empty = await fileWith("\n", 0o600);
    expect(await sentWith({ BALANCECTL_TOKEN: "a b" })).toMatchObject({ code: 2, sent: [] });
    expect(await sentWith({}, "--token-file", empty)).toMatchObject({ code: 2, sent: [] });
    expect(await sentWith({}, "--token-file", "/none")).toMatchObject({ code: 2, sent: [] });
    const both = { BALANCECTL_TOKEN: "a", BALANCECTL_TOKEN_FILE: empty };
    expect(await sentWith(both)).toMatchObject({ code: 2, sent: [] });
  });

  test("is no argument", async () => {
    const { code, stderr } = await onServer("adjust", "1", "-2", "--token", "t");
    expect([code, stderr.split("\n")[0]]).toEqual([2, "error: unknown option '--token'"]);
  });
});

describe("what goes wrong", () => {
  test("nobody listens: it is tried again, and then said that nothing was sent", async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const { code, stdout, stderr } = await runHere(["adjust", "1", "-2", "--url", url]);
    const lines = stderr.trimEnd().split("\n");
    const said = `The server did not answer (connect ECONNREFUSED ${url.slice(7)})`;
    expect([code, stdout, lines[0], lines.length]).toEqual([1, "", `Asking ${url}`, 6]);
    for (const line of lines.slice(1, 5)) expect(line).toMatch(/; again in 0\.\d s$/);
    expect(lines[5]).toBe(`balancectl: ${said}`);
  });

  test("an answer that was lost: under which key to ask again", async () => {
    const server = await startScriptedServer();
    const asked = server.script("cut");
    const { code, stderr } = await runHere(["adjust", "1", "-2", "--url", server.url]);
    expect([code, asked.length]).toEqual([1, 5]);
    expect(stderr).toContain("Whether the change was made is not known");
    expect(stderr).toContain(`--idempotency-key ${asked[0]?.headers["idempotency-key"]}`);
  });

  test("a code that this program does not know is shown as the server says it", async () => {
    const server = await startScriptedServer();
    const error = { code: "SOMETHING_NEW", message: "Something new happened" };
    server.script({ status: 418, body: { success: false, error } });
    const { code, stdout } = await runHere(["adjust", "1", "1", "--url", server.url, "--json"]);
    expect([code, stdout]).toEqual([
      ...[1, failure("SERVER_UNREACHABLE", "Something new happened").stdout],
    ]);
  });

  test.each([
    ["here", '--url must be an http or https URL (it is "here")'],
    ["http://a:b@here", "--url must have no user and password in it"],
  ])("a URL that cannot be: %s", async (url, message) => {
    const { code, stdout } = await runHere(["users", "list", "--url", url, "--json"]);
    expect([code, stdout]).toEqual([2, failure("INVALID_REQUEST", message).stdout]);
  });
});
