/** wrk (https://github.com/wg/wrk), one thread. What it sends is said by a script in its Lua. */
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runProgram } from "../processes.ts";
import { amountTaken, type Load, type LoadResult, type LoadTool, type Work } from "./load.ts";

export async function wrkTool(program: string, folder: string): Promise<LoadTool> {
  // It prints its version above its usage, and fails.
  const usage = await runProgram("sh", ["-c", `"$0" -v 2>&1 || true`, program]);
  const version = /^wrk\s+(\S+)/.exec(usage)?.[1] ?? "";
  return {
    name: `wrk ${version.replace(/^debian\//, "")}`,
    run: (load) => run(program, join(folder, "wrk.lua"), load),
  };
}

async function run(program: string, script: string, load: Load): Promise<LoadResult> {
  const { url, connections, seconds } = load;
  await writeFile(script, wrkScript(load, new URL(url).host));
  const args = ["-t1", `-c${connections}`, `-d${seconds}s`, "--timeout", "30s", "-s", script, url];
  // wrk takes the soft limit of open files as it finds it.
  const raised = `ulimit -n ${connections + 200} 2>/dev/null; exec "$0" "$@"`;
  const printed = await runProgram("sh", ["-c", raised, program, ...args]);
  const line = /^result (.*)$/m.exec(printed)?.[1];
  if (line === undefined) throw new Error(`wrk printed no result: ${printed}`);
  const [micros = 0, requests = 0, refused = 0, broken = 0, p50 = 0, p99 = 0] = line
    .split(" ")
    .map(Number);
  const done = requests - refused;
  const perSecond = (done / micros) * 1e6;
  return { done, refused, broken, perSecond, p50Ms: p50 / 1e3, p99Ms: p99 / 1e3 };
}

/** Requests are made before the clock starts: what is asked for must not decide how fast wrk asks. */
function wrkScript({ work, seconds }: Load, host: string): string {
  // Keys are not to come again. Of the others a second's worth will do.
  const count = work.keyed ? seconds * 30_000 : 20_000;
  return `local n = 0
local requests = {}
${makeRequest(work, host)}
init = function()
  math.randomseed(${randomBytes(4).readUInt32BE()})
  for i = 1, ${count} do requests[i] = make(i) end
end
request = function()
  n = n + 1
  return requests[${work.keyed ? "n" : `n % ${count} + 1`}] or make(n)
end
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format("\\nresult %d %d %d %d %d %d\\n",
    summary.duration, summary.requests, e.status, e.connect + e.read + e.write + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
`;
}

function makeRequest({ kind, first, count, keyed }: Work, host: string): string {
  const prefix = randomBytes(4).toString("hex");
  const key = keyed ? `"Idempotency-Key: ${prefix}-" .. i .. "\\r\\n" ..` : "";
  const target =
    kind === "withdrawal"
      ? `"PUT /api/users/" .. user .. "/balance HTTP/1.1\\r\\n" ..`
      : `"POST /api/transfers HTTP/1.1\\r\\n" ..`;
  const body =
    kind === "withdrawal"
      ? `'{"amount":-${amountTaken}}'`
      : `'{"from":' .. user .. ',"to":' .. other .. ',"amount":${amountTaken}}'`;
  return `local make = function(i)
  local user = ${first} + math.random(0, ${count - 1})
  local other = ${first} + (user - ${first} + math.random(1, ${Math.max(count - 1, 1)})) % ${count}
  local body = ${body}
  return ${target}
    "Host: ${host}\\r\\nContent-Type: application/json\\r\\n" .. ${key}
    "Content-Length: " .. #body .. "\\r\\n\\r\\n" .. body
end`;
}
