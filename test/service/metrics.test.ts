/** What a scrape says, of one process and of several; and that the documents name nothing else. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createRegistry, textOf, together } from "../../src/metrics/registry.ts";
import { packageRoot } from "../../src/package-root.ts";
import { createTestDatabase } from "../support/database/database.ts";
import { startTcpProxy } from "../support/database/tcp-proxy.ts";
import { asServerRole } from "../support/global-setup.ts";
import { exchange } from "../support/http/client.ts";
import { startServer } from "../support/server/program.ts";

async function scrape(url: string): Promise<Map<string, number>> {
  const answer = await fetch(`${url}/metrics`);
  expect([answer.status, answer.headers.get("content-type")]).toEqual([
    200,
    "text/plain; version=0.0.4; charset=utf-8",
  ]);
  const lines = (await answer.text()).trimEnd().split("\n");
  const samples = lines.filter((line) => !line.startsWith("#"));
  return new Map(
    samples.map((line) => {
      const at = line.lastIndexOf(" ");
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

const adjust = (url: string, amount: number, key?: string) =>
  exchange(url, {
    ...{ method: "PUT", path: "/api/users/1/balance", body: JSON.stringify({ amount }) },
    headers: { "content-type": "application/json", ...(key && { "idempotency-key": key }) },
  });

const labels = (status: number) =>
  `{http_route="balance.adjust",http_request_method="PUT",http_response_status_code="${status}"}`;

describe.each([1, 2])("with %i processes", (workers) => {
  test("one scrape has what was asked of all of them", async () => {
    const url = asServerRole(await createTestDatabase());
    const proxy = await startTcpProxy(url);
    const env = { DATABASE_URL: proxy.url, LOG_LEVEL: "fatal" };
    const server = await startServer(env, ["--workers", String(workers)]);
    for (let change = 0; change < 10; change += 1) await adjust(server.url, -1);
    await adjust(server.url, -20_000);
    await adjust(server.url, 0);
    await adjust(server.url, -1, "k");
    await adjust(server.url, -1, "k");
    const seen = await scrape(server.url);
    const count = "http_server_request_duration_seconds_count";
    expect([200, 422, 400].map((status) => seen.get(count + labels(status)))).toEqual([12, 1, 1]);
    expect(seen.get('balancectl_operations_total{outcome="applied"}')).toBe(12);
    expect(seen.get('balancectl_operations_total{outcome="INSUFFICIENT_FUNDS"}')).toBe(1);
    expect(seen.get("balancectl_replays_total")).toBe(1);
    expect(seen.get('balancectl_batch_operations_bucket{le="1"}')).toBe(13);
    expect(seen.get("balancectl_operations_waiting")).toBe(0);
    expect(seen.get("balancectl_operations_waiting_limit")).toBe(20_000 * workers);
    expect(seen.get("balancectl_database_round_trip_seconds")).toBeGreaterThan(0);
    await proxy.down();
    const without = await scrape(server.url);
    expect(without.has("balancectl_database_round_trip_seconds")).toBe(false);
    expect(without.get(count + labels(200))).toBe(12);
    await proxy.mend();
    await server.stop();
  });
});

test("each metric that the dashboard and the alerts name is there", async () => {
  const server = await startServer({ DATABASE_URL: asServerRole(await createTestDatabase()) });
  await adjust(server.url, -1, "k");
  await adjust(server.url, -1, "k");
  const names = [...(await scrape(server.url)).keys()].map((sample) => sample.replace(/\{.*/, ""));
  // Nothing failed, so that nothing was counted.
  const there = new Set([...names, "balancectl_batches_failed_total"]);
  for (const file of ["docs/grafana-dashboard.json", "docs/alerts.yaml"]) {
    const text = await readFile(join(packageRoot, file), "utf8");
    const named = text.match(/\b(?:balancectl|http_server|nodejs|process)_[a-z0-9_]+/g) ?? [];
    expect(named.length).toBeGreaterThan(5);
    expect([file, named.filter((name) => !there.has(name))]).toEqual([file, []]);
  }
  await server.stop();
});

test("snapshots of several are added up, and the latest of them is the latest", () => {
  const parts = [1, 2].map((nth) => {
    const registry = createRegistry();
    registry.counter("a_total", "A.").add('{b="c\\"d"}', nth);
    registry.gauge("lag", "L.", () => ({ "": nth }), "max");
    registry
      .histogram(
        "h",
        "H.",
        [1, 2],
      )({ x: 'say "hi"\n' })
      .observe(nth + 0.5);
    return registry.snapshot();
  });
  expect(textOf(together(parts))).toBe(
    [
      "# HELP a_total A.",
      "# TYPE a_total counter",
      'a_total{b="c\\"d"} 3',
      "# HELP lag L.",
      "# TYPE lag gauge",
      "lag 2",
      "# HELP h H.",
      "# TYPE h histogram",
      'h_bucket{x="say \\"hi\\"\\n",le="1"} 0',
      'h_bucket{x="say \\"hi\\"\\n",le="2"} 1',
      'h_bucket{x="say \\"hi\\"\\n",le="+Inf"} 2',
      'h_sum{x="say \\"hi\\"\\n"} 4',
      'h_count{x="say \\"hi\\"\\n"} 2',
      "",
    ].join("\n"),
  );
});
