/** One round: a fresh database and fresh servers, callers, a fault again and again, healing, and the check. */
import { spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { createRandom } from "../support/random.ts";
import { check, type Verdict } from "./check/check.ts";
import { createCallers } from "./client/callers.ts";
import { dumpTables } from "./dump-tables.ts";
import type { Fault, Stage } from "./faults/fault.ts";
import { readHistory, writeHistory } from "./history/file.ts";
import type { EventLine, VerifyLine } from "./history/history.ts";
import { appRole, type Cluster } from "./stage/cluster.ts";
import { pause, query, until } from "./stage/connection.ts";
import { type DatabaseProxy, startProxy } from "./stage/proxy.ts";
import { createServer, type Server, script } from "./stage/server.ts";

export interface RoundOptions {
  readonly cluster: Cluster;
  readonly fault: Fault;
  readonly round: number;
  readonly seed: number;
  readonly seconds: number;
  readonly callers: number;
  /** Where the history goes. */
  readonly path: string;
  /** Whoever stops the whole run calls these, the latest first. */
  readonly closers: (() => Promise<unknown>)[];
}

/** What has to be over after the last healing: lines that are dead, backends that nobody hears. */
const quietMsMax = 120_000;

export async function runRound(options: RoundOptions): Promise<Verdict> {
  const { cluster, fault, round, seed, path, closers } = options;
  const own = closers.length;
  const close = async () => {
    for (const closer of closers.splice(own).reverse()) await closer();
  };
  await mkdir(dirname(path), { recursive: true });
  const file = writeHistory(path);
  try {
    const startedAt = new Date().toISOString();
    const postgres = cluster.version;
    file.add({ type: "round", fault: fault.name, round, seed, startedAt, postgres });
    const say = (what: EventLine["what"], text?: string) => {
      file.add({
        type: "event",
        atMs: performance.now(),
        what,
        ...(text !== undefined && { text }),
      });
    };
    const stage = await setStage(options, say);
    const callers = createCallers({
      urls: stage.servers.map(({ url }) => url),
      count: options.callers,
      seed,
      add: file.add,
    });
    await callers.open();
    const tormenting = torment(stage, options, say).finally(callers.stop);
    const ends = await Promise.allSettled([tormenting, callers.run()]);
    for (const end of ends) if (end.status === "rejected") throw end.reason;
    await clearStage(stage, fault, say);
    for (const line of await dumpTables(cluster.adminUrl(stage.database))) file.add(line);
    file.add(await runVerify(cluster.appUrl(stage.database)));
  } finally {
    await file.close();
    await close();
  }
  return check(await readHistory(path));
}

type Say = (what: EventLine["what"], text?: string) => void;

async function setStage(options: RoundOptions, say: Say): Promise<Stage> {
  const { cluster, fault, seed, closers } = options;
  const undo: Stage["undo"] = [];
  closers.push(() => heal(undo));
  if (fault.clusterEnv) {
    await cluster.stop("SIGINT");
    await cluster.start(await fault.clusterEnv(cluster));
    closers.push(async () => {
      await cluster.stop("SIGINT");
      await cluster.start({});
    });
  }
  const database = `torture_${seed}`;
  const where = (await fault.prepare?.({ cluster, undo: closers })) ?? "";
  await cluster.admin(`CREATE DATABASE ${database} OWNER ${appRole} ${where}`);
  closers.push(() => cluster.admin(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`));
  const front = await fault.front?.({ cluster, undo: closers });
  if (front !== undefined) {
    // Not through a pooler: docs/operating.md.
    const { code, text } = await runCommand(cluster.appUrl(database), "migrate");
    if (code !== 0) throw new Error(`migrate: ${text}`);
  }
  const servers: Server[] = [];
  const proxies: DatabaseProxy[] = [];
  for (const number of [0, 1]) {
    const proxy = await startProxy(() => front ?? cluster.port);
    closers.push(proxy.close);
    proxies.push(proxy);
    const server = await createServer({
      databaseUrl: cluster.appUrl(database, proxy.port),
      args: fault.args ?? [],
      env: fault.env ?? {},
      onDeath: (text) => say(fault.mayEnd ? "note" : "died", `server ${number}: ${text}`),
    });
    closers.push(() => server.end("SIGKILL"));
    servers.push(server);
  }
  // At once, as two that are deployed together: one of them brings the schema.
  await Promise.all(servers.map((server) => server.start()));
  const note = (text: string) => say("note", text);
  return { cluster, servers, proxies, database, dice: createRandom(seed), note, undo };
}

/** The fault again and again until the time is over, each time with a while in which it is healed. */
async function torment(stage: Stage, { fault, seconds }: RoundOptions, say: Say): Promise<void> {
  const { dice, servers, undo } = stage;
  const deadline = performance.now() + seconds * 1_000;
  const between = (from: number, to: number) => from + dice.below(to - from + 1);
  await pause(500);
  do {
    say("inject");
    try {
      await fault.inject(stage);
      await pause(between(...(fault.lasts ?? [200, 1_000])));
    } catch (error) {
      say("stuck", `inject: ${(error as Error).message}`);
    }
    const tell = (error: Error) => say("stuck", `heal: ${error.message}`);
    await fault.heal?.(stage).catch(tell);
    await heal(undo, tell);
    say("heal");
    for (const server of servers) if (!server.isUp()) await server.start().catch(tell);
    await pause(between(...(fault.rests ?? [300, 1_200])));
  } while (performance.now() < deadline);
}

/** One step that fails keeps no other from being taken. */
async function heal(undo: Stage["undo"], tell: (error: Error) => void = () => {}): Promise<void> {
  for (const step of undo.splice(0).reverse()) {
    try {
      await step();
    } catch (error) {
      tell(error as Error);
    }
  }
}

/**
 * Whatever the servers were asked is answered by now. They come back by themselves, end in order, and
 * leave nothing behind that could still change something; what does is ended by force, and told.
 */
async function clearStage(stage: Stage, fault: Fault, say: Say): Promise<void> {
  const { servers, proxies, cluster, database } = stage;
  const end = async (server: Server, number: number) => {
    const ready = () =>
      fetch(`${server.url}/readyz`).then(
        ({ status }) => status === 200,
        () => false,
      );
    if (!(await until(ready, quietMsMax))) say("stuck", `server ${number} is not ready again`);
    const code = await server.end("SIGTERM");
    if (code !== 0 && !fault.mayEnd) {
      say("stuck", `server ${number} ended with ${code}: ${server.output()}`);
    }
  };
  await Promise.all(servers.map(end));
  // Only now do ends learn of lines that were dead.
  for (const proxy of proxies) await proxy.close();
  await fault.settle?.(stage);
  const gone = async () => {
    const rows = await query(
      cluster.adminUrl(),
      "SELECT FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'",
      [database],
    );
    return rows.length === 0;
  };
  if (!(await until(gone, quietMsMax))) say("stuck", "backends of the servers do not end");
}

async function runVerify(databaseUrl: string): Promise<VerifyLine> {
  const { code, text } = await runCommand(databaseUrl, "verify", "--all", "--json");
  try {
    const { ok, findings } = JSON.parse(text) as VerifyLine;
    return { type: "verify", ok: ok && code === 0, findings };
  } catch {
    return { type: "verify", ok: false, findings: [text] };
  }
}

/** To its end, with all that it says. */
async function runCommand(
  databaseUrl: string,
  ...args: string[]
): Promise<{ code: unknown; text: string }> {
  const { PATH = "", HOME = "" } = process.env;
  const child = spawn(process.execPath, [script, ...args], {
    env: { PATH, HOME, NO_COLOR: "1", DATABASE_URL: databaseUrl },
    cwd: "/",
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
  }
  const code = await new Promise((resolve) => child.once("close", resolve));
  return { code, text };
}
