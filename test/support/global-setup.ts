/**
 * One real PostgreSQL for the whole run: the one TEST_DATABASE_URL names, else an embedded one in a
 * temporary folder. It holds a migrated template that each test file clones.
 */
import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import type { TestProject } from "vitest/node";
import { openEmbeddedPostgres } from "../../src/database/embedded/open.ts";
import { ensureDatabase } from "../../src/database/ensure-database.ts";
import { migrateUp } from "../../src/database/migrator.ts";

export const templateName = "balancectl_test_template";

declare module "vitest" {
  interface ProvidedContext {
    /** A database of the server that test databases are created on. */
    serverUrl: string;
  }
}

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { url, close } = await openServer();
  const template = withDatabase(url, templateName);
  await dropDatabase(url, templateName);
  await ensureDatabase(template);
  await migrateUp(template);
  project.provide("serverUrl", url);
  return async () => {
    await dropDatabase(url, templateName);
    await close();
  };
}

export function withDatabase(url: string, name: string): string {
  const other = new URL(url);
  other.pathname = `/${name}`;
  return other.href;
}

export async function dropDatabase(serverUrl: string, name: string): Promise<void> {
  const client = new pg.Client(serverUrl);
  await client.connect();
  await client.query(`DROP DATABASE IF EXISTS ${client.escapeIdentifier(name)} WITH (FORCE)`);
  await client.end();
}

async function openServer(): Promise<{ url: string; close: () => Promise<void> }> {
  const given = process.env["TEST_DATABASE_URL"];
  if (given) return { url: given, close: async () => {} };
  // Made by the embedded server itself, so that the user it runs as can enter it under root too.
  const dataDir = join(tmpdir(), `balancectl-test-${randomBytes(6).toString("hex")}`);
  const embedded = await openEmbeddedPostgres({ dataDir });
  return {
    url: embedded.url,
    close: async () => {
      await embedded.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
