import { hot } from "../candidates.ts";
import { runScript } from "../processes.ts";
import type { Burst, BurstResult } from "./burst-process.ts";
import { amountTaken } from "./load.ts";

export interface BurstCounts extends BurstResult {
  readonly done: number;
  readonly refused: number;
}

/** Sends withdrawals of the hot user over many sockets, out of a process of its own. */
export async function runBurst(
  url: string,
  sockets: number,
  requestsEach: number,
): Promise<BurstCounts> {
  const body = `{"amount":-${amountTaken}}`;
  const request =
    `PUT /api/users/${hot.first}/balance HTTP/1.1\r\nHost: ${new URL(url).host}\r\n` +
    `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const parameters: Burst = { url, sockets, request, requestsEach };
  const result = await runScript<BurstResult>("load/burst-process.js", parameters);
  const answered = Object.values(result.byStatus).reduce((sum, count) => sum + count, 0);
  const done = result.byStatus["200"] ?? 0;
  return { ...result, done, refused: answered - done };
}
