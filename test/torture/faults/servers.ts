/** The servers under test are killed, stopped, or read no more. */
import { childrenOf, signal } from "../stage/process-table.ts";
import { either, type Fault } from "./fault.ts";

export const serverFaults: readonly Fault[] = [
  { name: "none", inject: async () => {} },
  {
    name: "server-kill",
    inject: async (stage) => {
      const server = either(stage, stage.servers);
      await server.end("SIGKILL");
      stage.undo.push(() => server.start());
    },
  },
  {
    name: "server-term",
    inject: async (stage) => {
      const server = either(stage, stage.servers);
      const begun = performance.now();
      const code = await server.end("SIGTERM");
      stage.note(`ended with ${code} after ${(performance.now() - begun).toFixed(0)} ms`);
      if (code !== 0) throw new Error(`SIGTERM: ended with ${code}, ${server.output()}`);
      stage.undo.push(() => server.start());
    },
  },
  {
    name: "worker-kill",
    args: ["--workers", "2"],
    // Without one of its workers it ends in order; whoever supervises it starts it again.
    mayEnd: true,
    inject: async (stage) => {
      const server = either(stage, stage.servers);
      const workers = await childrenOf(server.pid ?? 0);
      signal([either(stage, workers)], "SIGKILL");
      stage.undo.push(() => server.start());
    },
    lasts: [2_000, 3_000],
  },
  {
    name: "log-stalled",
    env: { LOG_LEVEL: "info" },
    inject: async (stage) => {
      const { servers, proxies } = stage;
      for (const server of servers) server.turnAway();
      stage.undo.push(async () => {
        for (const server of servers) server.listen();
      });
      // Each cut is an error of each batch that flies: enough lines to fill a pipe.
      for (let times = 0; times < 40; times += 1) {
        for (const proxy of proxies) proxy.cutAll();
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
  },
];
