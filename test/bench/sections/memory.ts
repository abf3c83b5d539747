/** How much memory the server takes with ten thousand open sockets that all keep it busy. */
import { readdir, readFile } from "node:fs/promises";
import { type Bench, note, problem } from "../bench.ts";
import { hot } from "../candidates.ts";
import { runBurst } from "../load/burst.ts";
import { startBalancectl } from "../servers.ts";
import { summarize } from "../statistics.ts";
import { createCheck } from "../subject.ts";
import { socketsPossible } from "./burst.ts";

export async function measureMemory(bench: Bench): Promise<void> {
  if (!bench.options.wanted("memory")) return;
  if (process.platform !== "linux") {
    note(bench, "memory: skipped, it is read from /proc");
    return;
  }
  const sockets = await socketsPossible(bench);
  const running = await startBalancectl(bench);
  const { pid, url } = running.server;
  let filesMax = 0;
  const watch = setInterval(async () => {
    filesMax = Math.max(filesMax, (await readdir(`/proc/${pid}/fd`).catch(() => [])).length);
  }, 200);
  // Not the load tool: a busy server accepts one connection a turn, and would not have all of them
  // before the tool is done. This client has them all before it asks.
  const check = createCheck(bench, "memory", hot, running.books(hot));
  await check(() => runBurst(url, sockets, bench.options.quick ? 3 : 10), 0);
  clearInterval(watch);
  // A few of the first may be done before the last are accepted.
  if (filesMax < sockets * 0.95) {
    problem(bench, `memory: the server had ${filesMax} open files, fewer than ${sockets} sockets`);
  }
  const title = `balancectl, peak memory, ${sockets.toLocaleString("en-US")} sockets`;
  const summary = summarize([await peakMegabytes(pid)]);
  bench.results.rows.push({ name: "memory", title, unit: "MB", summary });
  await running.stop();
}

/** The kernel's own high-water mark of the resident set. */
async function peakMegabytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return (Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) * 1_024) / 1e6;
}
