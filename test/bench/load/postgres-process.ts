/**
 * PostgreSQL alone: connections that each send one statement, a transaction of its own, as soon as
 * the last one is committed. Takes its parameters as JSON on the command line, prints JSON.
 */
import pg from "pg";
import { changeStatement } from "../simple-schema.ts";
import { percentile } from "../statistics.ts";
import { amountTaken, type LoadResult } from "./load.ts";

export interface PostgresLoad {
  readonly url: string;
  readonly userId: number;
  readonly connections: number;
  readonly seconds: number;
}

const parameters = JSON.parse(process.argv[2] ?? "") as PostgresLoad;
process.stdout.write(JSON.stringify(await run(parameters)));

async function run({ url, userId, connections, seconds }: PostgresLoad): Promise<LoadResult> {
  const clients = await Promise.all(Array.from({ length: connections }, () => connect(url)));
  const latencies: number[] = [];
  let refused = 0;
  const startedAt = performance.now();
  const end = startedAt + seconds * 1_000;
  const values = [userId, -amountTaken];
  const loop = async (client: pg.Client) => {
    for (let before = startedAt; before < end; ) {
      const { rowCount } = await client.query({ name: "change", text: changeStatement, values });
      const now = performance.now();
      latencies.push(now - before);
      if (rowCount !== 1) refused += 1;
      before = now;
    }
  };
  await Promise.all(clients.map(loop));
  const elapsedMs = performance.now() - startedAt;
  await Promise.all(clients.map((client) => client.end()));
  latencies.sort((a, b) => a - b);
  const done = latencies.length - refused;
  return {
    done,
    refused,
    broken: 0,
    perSecond: (done / elapsedMs) * 1_000,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
  };
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client(url);
  await client.connect();
  return client;
}
