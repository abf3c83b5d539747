/** Runs autocannon for the load given as JSON on the command line, prints the result as JSON. */
import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { percentile } from "../statistics.ts";
import { amountTaken, type Load, type LoadResult, type Work } from "./load.ts";

/** The part of autocannon that is used here; it brings no types of its own. */
type Autocannon = (options: object) => Promise<{
  readonly "2xx": number;
  readonly non2xx: number;
  readonly errors: number;
  readonly timeouts: number;
  readonly duration: number;
}>;
interface AutocannonClient {
  on(event: "response", listener: (status: number, bytes: number, ms: number) => void): void;
}
interface AutocannonRequest {
  readonly headers?: Readonly<Record<string, string>>;
}

const load = JSON.parse(process.argv[2] ?? "") as Load;
process.stdout.write(JSON.stringify(await run(load)));

async function run({ url, work, connections, seconds }: Load): Promise<LoadResult> {
  const autocannon = createRequire(import.meta.url)("autocannon") as Autocannon;
  const latencies: number[] = [];
  const result = await autocannon({
    url,
    connections,
    duration: seconds,
    timeout: 30,
    requests: [requestOf(work)],
    // Its own histogram counts whole milliseconds.
    setupClient: (client: AutocannonClient) =>
      client.on("response", (_status, _bytes, ms) => latencies.push(ms)),
  });
  latencies.sort((a, b) => a - b);
  return {
    done: result["2xx"],
    refused: result.non2xx,
    broken: result.errors + result.timeouts,
    perSecond: result["2xx"] / result.duration,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
  };
}

function requestOf(work: Work): object {
  const headers = { "Content-Type": "application/json" };
  if (work.count === 1 && !work.keyed) return { ...withdrawal(work.first), headers };
  const prefix = randomBytes(4).toString("hex");
  let count = 0;
  return {
    ...withdrawal(work.first),
    headers,
    setupRequest: (request: AutocannonRequest) => {
      count += 1;
      const offset = Math.floor(Math.random() * work.count);
      const key = work.keyed ? { "Idempotency-Key": `${prefix}-${count}` } : {};
      return {
        ...request,
        ...(work.kind === "withdrawal" ? withdrawal(work.first + offset) : transfer(work, offset)),
        headers: { ...headers, ...key },
      };
    },
  };
}

function withdrawal(userId: number): object {
  const body = JSON.stringify({ amount: -amountTaken });
  return { method: "PUT", path: `/api/users/${userId}/balance`, body };
}

function transfer({ first, count }: Work, offset: number): object {
  const other = (offset + 1 + Math.floor(Math.random() * (count - 1))) % count;
  const body = JSON.stringify({ from: first + offset, to: first + other, amount: amountTaken });
  return { method: "POST", path: "/api/transfers", body };
}
