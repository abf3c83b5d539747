/** Ten thousand sockets with one request each, all at once: how long until the last answer. */
import { type Bench, note } from "../bench.ts";
import { hot } from "../candidates.ts";
import { runBurst } from "../load/burst.ts";
import { runProgram } from "../processes.ts";
import { type Running, startBalancectl, startInMemory } from "../servers.ts";
import { summarize } from "../statistics.ts";
import { type Check, createCheck } from "../subject.ts";

interface Target {
  readonly name: string;
  readonly title: string;
  readonly running: Running;
  readonly check: Check;
  readonly openMs: number[];
  readonly answerMs: number[];
}

export async function measureBurst(bench: Bench): Promise<void> {
  if (!bench.options.wanted("burst")) return;
  const sockets = await socketsPossible(bench);
  const targets = [
    target(bench, "A", "(A)", await startInMemory("bare-http")),
    target(bench, "B", "(B)", await startInMemory("no-database")),
    target(bench, "balancectl", "balancectl", await startBalancectl(bench)),
  ];
  const { rounds } = bench.options;
  // The round before the first is the warm-up.
  for (let round = 0; round <= rounds; round++) {
    await bench.database.checkpoint();
    for (const one of targets) {
      const { server } = one.running;
      const { openMs, answerMs } = await one.check(() => runBurst(server.url, sockets, 1), 0);
      if (round === 0) continue;
      one.openMs.push(openMs);
      one.answerMs.push(answerMs);
      bench.say(
        `round ${round}/${rounds}  burst of ${sockets} sockets, ${one.title}: ` +
          `open in ${Math.round(openMs)} ms, answered ${Math.round(answerMs)} ms later`,
      );
    }
  }
  for (const { name, title, openMs, answerMs } of targets) {
    const wallMs = openMs.map((ms, round) => ms + (answerMs[round] ?? 0));
    const what = `burst of ${sockets.toLocaleString("en-US")} sockets, ${title}`;
    const row = { unit: "ms" } as const;
    bench.results.rows.push(
      { ...row, name: `burst-${name}`, title: what, summary: summarize(wallMs) },
      {
        ...row,
        name: `burst-answers-${name}`,
        title: "  of it from the first request on",
        summary: summarize(answerMs),
      },
    );
  }
  for (const { running } of targets) await running.stop();
}

/** The limit of open files is on the benchmark's side and on the server's. */
export async function socketsPossible(bench: Bench): Promise<number> {
  const { sockets } = bench.options;
  const limit = (await runProgram("sh", ["-c", "ulimit -Hn"])).trim();
  const possible = limit === "unlimited" ? sockets : Math.min(sockets, Number(limit) - 300);
  if (possible < sockets) {
    note(bench, `only ${possible} sockets instead of ${sockets}: ulimit -Hn is ${limit}`);
  }
  return possible;
}

function target(bench: Bench, name: string, title: string, running: Running): Target {
  const check = createCheck(bench, `burst-${name}`, hot, running.books(hot));
  return { name, title, running, check, openMs: [], answerMs: [] };
}
