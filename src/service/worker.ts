/** One of several processes behind one port: it does what the main process says. */
import { createLogger, flushLog } from "../log.ts";
import { type Service, startService } from "./start.ts";
import type { FromWorker, ParentChannel, ToWorker, WorkerOrders } from "./worker-channel.ts";

/** Serves as ordered until `stopping`, or until the main process says so. */
export async function runWorker(channel: ParentChannel, stopping: AbortSignal): Promise<void> {
  const say = (message: FromWorker, onLost?: () => void) => channel.send(message, onLost);
  let service: Service | undefined;
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
      else if (said.say === "figures" && service !== undefined) {
        say({ say: "figures", question: said.question, figures: await service.figures() });
      }
    });
  });
  say({ say: "here" });
  const orders = await Promise.race([ordered, stopped]);
  if (orders === undefined) return;
  const { config, databaseUrl, schema } = orders;
  service = await startService(config, databaseUrl, schema, createLogger(config.logLevel));
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
