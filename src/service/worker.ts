/** One of several processes behind one port: it does what the main process says. */

import { createLogger, flushLog } from "../log.ts";
import type { Snapshot } from "../metrics/registry.ts";
import { type Service, startService } from "./start.ts";
import type { FromWorker, ParentChannel, ToWorker, WorkerOrders } from "./worker-channel.ts";

/** Serves as ordered until `stopping`, or until the main process says so. */
export async function runWorker(channel: ParentChannel, stopping: AbortSignal): Promise<void> {
  const say = (message: FromWorker, onLost?: () => void) => channel.send(message, onLost);
  let service: Service | undefined;
  const questions = new Map<number, (metrics: Snapshot) => void>();
  let asked = 0;
  const collected = (question: number, metrics: Snapshot) => {
    questions.get(question)?.(metrics);
    questions.delete(question);
  };
  const ofAll = (own: () => Promise<Snapshot>): Promise<Snapshot> =>
    new Promise((resolve) => {
      asked += 1;
      questions.set(asked, resolve);
      // Without the main process, which is ending then, there is this one.
      say({ say: "collect", question: asked }, () => own().then(resolve));
    });
  let noMore: () => void = () => {};
  let order: (orders: WorkerOrders) => void = () => {};
  const ordered = new Promise<WorkerOrders>((resolve) => {
    order = resolve;
  });
  const stopped = new Promise<undefined>((resolve) => {
    if (stopping.aborted) resolve(undefined);
    stopping.addEventListener("abort", () => resolve(undefined), { once: true });
    channel.onMessage(async (message) => {
      const said = message as ToWorker;
      if (said.say === "serve") order(said.orders);
      else if (said.say === "stop") resolve(undefined);
      else if (said.say === "handed over") noMore();
      else if (said.say === "collected") collected(said.question, said.metrics);
      else if (said.say === "metrics" && service !== undefined) {
        say({ say: "metrics", question: said.question, metrics: await service.metrics() });
      } else if (said.say === "figures" && service !== undefined) {
        say({ say: "figures", question: said.question, figures: await service.figures() });
      }
    });
  });
  say({ say: "here" });
  const orders = await Promise.race([ordered, stopped]);
  if (orders === undefined) return;
  const { config, databaseUrl, schema } = orders;
  service = await startService(config, databaseUrl, schema, createLogger(config.logLevel), ofAll);
  await stopped;
  await service.stop(
    () =>
      new Promise((resolve) => {
        noMore = resolve;
        say({ say: "any more" }, resolve);
      }),
  );
  await flushLog();
}
