/** What a server counts and measures, under OpenTelemetry's names where it has any. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Config } from "../config.ts";
import type { Database } from "../database/connection.ts";
import type { RouteTimer } from "../http/route.ts";
import type { LedgerObserver, LedgerState } from "../ledger/observer.ts";
import {
  createRegistry,
  labelText,
  type Registry,
  type Series,
  type Snapshot,
} from "../metrics/registry.ts";
import { packageVersion } from "../package-root.ts";
import { within } from "../within.ts";

export interface Metrics {
  readonly observer: LedgerObserver;
  /** Of one route, told of each of its answers. */
  timer(route: string, method: string): RouteTimer;
  /** Of this process, with what the database says now, if it says it in time. */
  snapshot(): Promise<Snapshot>;
  end(): void;
}

/** Seconds: OpenTelemetry's for HTTP. */
const durations = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
const sizes = [1, 2, 5, 10, 20, 50, 100, 200, 500];
/** A scrape does not wait for a database that is away. */
const askedMsMax = 1_000;

export function createMetrics(
  database: Database,
  state: () => LedgerState,
  config: Pick<Config, "waitingMax" | "idempotencyDays">,
): Metrics {
  const registry = createRegistry();
  const requests = registry.histogram(
    "http_server_request_duration_seconds",
    "From the request's head to the answer's, by route.",
    durations,
  );
  const endLoop = measureProcess(registry);
  describeLedger(registry, state, config.waitingMax);
  describePool(registry, database);
  const asked = askDatabase(registry, database, config.idempotencyDays);
  return {
    observer: observeBatches(registry),
    timer: (route, method) => {
      const byStatus: Series[] = [];
      return {
        answered: (status, ms) => {
          byStatus[status] ??= requests({
            ...{ http_route: route, http_request_method: method },
            http_response_status_code: status,
          });
          byStatus[status].observe(ms / 1_000);
        },
      };
    },
    snapshot: async () => {
      await within(askedMsMax, asked());
      return registry.snapshot();
    },
    end: endLoop,
  };
}

function observeBatches(registry: Registry): LedgerObserver {
  const size = registry.histogram("balancectl_batch_operations", "Operations of a batch.", sizes)();
  const duration = registry.histogram(
    "balancectl_batch_duration_seconds",
    "From a batch's leaving to its answer, its commit included.",
    durations,
  )();
  const outcomes = registry.counter(
    "balancectl_operations_total",
    "Operations that were answered, by outcome: applied, or the code of the refusal.",
  );
  const replays = registry.counter(
    "balancectl_replays_total",
    "Those that an idempotency key had the answer of.",
  );
  const failed = registry.counter(
    "balancectl_batches_failed_total",
    "Batches that failed, by code.",
  );
  return {
    batchCommitted: ({ operations, replays: replayed, refusals, durationMs }) => {
      size.observe(operations);
      duration.observe(durationMs / 1_000);
      let refused = 0;
      for (const [code, count] of refusals) {
        refused += count;
        outcomes.add(`{outcome="${code}"}`, count);
      }
      if (replayed > 0) replays.add("", replayed);
      if (operations > refused) outcomes.add('{outcome="applied"}', operations - refused);
    },
    batchFailed: ({ error }) => failed.add(`{code="${error.code}"}`),
  };
}

function describeLedger(registry: Registry, state: () => LedgerState, waitingMax: number): void {
  const gauge = (name: string, help: string, ask: () => number) =>
    registry.gauge(name, help, () => ({ "": ask() }));
  gauge(
    "balancectl_operations_waiting",
    "Operations that have not left yet.",
    () => state().waiting,
  );
  gauge(
    "balancectl_operations_waiting_limit",
    "Beyond it the next is OVERLOADED.",
    () => waitingMax,
  );
  gauge(
    "balancectl_operations_in_flight",
    "Operations under way to the database.",
    () => state().inFlight,
  );
  gauge(
    "balancectl_lanes_busy",
    "Lanes in which something waits or flies.",
    () => state().lanes.length,
  );
}

function describePool(registry: Registry, { sequelize }: Database): void {
  const { pool } = sequelize.connectionManager as unknown as {
    pool: { using: number; available: number; waiting: number };
  };
  registry.gauge("balancectl_read_connections", "Of the reads to the database, by state.", () => ({
    '{state="used"}': pool.using,
    '{state="idle"}': pool.available,
  }));
  registry.gauge("balancectl_reads_waiting", "Reads that wait for a connection.", () => ({
    "": pool.waiting,
  }));
}

function measureProcess(registry: Registry): () => void {
  const loop = monitorEventLoopDelay({ resolution: 10 });
  loop.enable();
  registry.gauge(
    "nodejs_eventloop_delay_p99_seconds",
    "How late the event loop was, since the last look; the latest process.",
    () => {
      const p99 = loop.percentile(99) / 1e9;
      loop.reset();
      return { "": p99 };
    },
    "max",
  );
  registry.gauge("process_resident_memory_bytes", "Memory of all processes.", () => ({
    "": process.memoryUsage.rss(),
  }));
  registry.gauge("process_cpu_seconds_total", "Processor time of all processes.", () => {
    const { user, system } = process.cpuUsage();
    return { "": (user + system) / 1e6 };
  });
  const info = labelText({ version: packageVersion(), node: process.version });
  registry.gauge("balancectl_build_info", "What is running.", () => ({ [info]: 1 }), "max");
  return () => loop.disable();
}

/** @returns asks; what has not been said in time is left out */
function askDatabase(registry: Registry, database: Database, days: number): () => Promise<void> {
  let roundTrip: number | undefined;
  let keys: number | undefined;
  const known = (value: number | undefined) => (value === undefined ? {} : { "": value });
  registry.gauge(
    "balancectl_database_round_trip_seconds",
    "Of a statement that does nothing; absent while the database is away.",
    () => known(roundTrip),
    "max",
  );
  registry.gauge(
    "balancectl_idempotency_keys_to_prune",
    "Keys past their time that nobody has removed yet, up to 10000.",
    () => known(keys),
    "max",
  );
  return async () => {
    roundTrip = undefined;
    keys = undefined;
    try {
      const startMs = performance.now();
      await database.aside.query(nothing, []);
      roundTrip = (performance.now() - startMs) / 1_000;
      keys = Number(await database.aside.query(toPrune, [String(days)]));
    } catch {
      // It is away: that is what their absence says.
    }
  };
}

const nothing = { name: "metrics_nothing", text: "SELECT 1" };
const toPrune = {
  name: "metrics_to_prune",
  text: `
    SELECT count(*) FROM (
      SELECT FROM idempotency_keys
       WHERE created_at < clock_timestamp() - $1::double precision * interval '1 day' LIMIT 10000) old`,
};
