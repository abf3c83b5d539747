/** The client in a browser's bundle: nothing of Node's is in it, no package, and it works with what a page has. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createContext, runInContext } from "node:vm";
// vitest brings it.
import { rolldown } from "rolldown";
import { expect, test } from "vitest";
import { packageRoot } from "../../src/package-root.ts";
import { createTestDatabase } from "../support/database/database.ts";
import { serveInProcess } from "../support/server/in-process.ts";

const shipped = join(packageRoot, "dist/src/client");

test("what is shipped imports nothing but itself", async () => {
  const names = (await readdir(shipped)).filter((name) => name.endsWith(".js"));
  const texts = await Promise.all(names.map((name) => readFile(join(shipped, name), "utf8")));
  const imported = texts.flatMap((text) =>
    [...text.matchAll(/^(?:import|export)\b.*["']([^"']+)["'];$/gm)].map(([, from]) => from),
  );
  expect(names).toContain("balance-client.js");
  expect(imported.filter((from) => !from?.startsWith("./"))).toEqual([]);
  expect(texts.join().match(/\b(require\(|process\.|Buffer\.)|node:|import\(/g)).toBeNull();
});

test("a page's bundle is small, has no node: in it, and does its work with what pages have", async () => {
  const input = join(shipped, "balance-client.js");
  const bundle = await rolldown({ input, platform: "browser" });
  const { output } = await bundle.generate({ format: "iife", name: "balances", minify: true });
  await bundle.close();
  const [{ code, imports }] = output;
  expect([output.length, imports]).toEqual([1, []]);
  expect(code).not.toMatch(/node:|require\(/);
  expect(code.length).toBeLessThan(12_000);

  const server = await serveInProcess(await createTestDatabase());
  const page = createContext({
    ...{ Headers, URL, URLSearchParams, AbortController, performance, setTimeout, clearTimeout },
    crypto: { getRandomValues: crypto.getRandomValues.bind(crypto) },
    document: {},
    // As a page's own does: relative to where the page is, and only as a function of the window.
    fetch(this: unknown, url: string, init: RequestInit) {
      if (this !== undefined && this !== runInContext("globalThis", page)) {
        throw new TypeError("Illegal invocation");
      }
      return fetch(new URL(url, server.url), init);
    },
  });
  runInContext(code, page);
  const work = `(async () => {
    const client = new balances.BalanceClient({ url: "" });
    const { balance } = await client.adjust(1, -2);
    const refused = await client.adjust(1, -20_000).catch((error) => error);
    return JSON.stringify([balance, refused instanceof balances.BalanceError, refused.code]);
  })()`;
  expect(JSON.parse(await runInContext(work, page))).toEqual([9_998, true, "INSUFFICIENT_FUNDS"]);
});
