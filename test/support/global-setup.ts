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
import { grantRole } from "../../src/database/grants.ts";
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
  await makeServerRole(template);
  project.provide("serverUrl", url);
  return async () => {
    await dropDatabase(url, templateName);
    await close();
  };
}

/** What a server is to have, and no more: most tests of the API run under it. */
async function makeServerRole(template: string): Promise<void> {
  const client = new pg.Client(template);
  await client.connect();
  const { rows } = await client.query("SELECT FROM pg_roles WHERE rolname = $1", [serverRole]);
  if (rows.length === 0) await client.query(`CREATE ROLE ${serverRole} LOGIN`);
  await client.query(`ALTER ROLE ${serverRole} PASSWORD 'server'`);
  await client.end();
  await grantRole(template, serverRole, "os:test");
}

/** The same database for the role that may serve and do nothing by hand. */
export function asServerRole(url: string): string {
  const other = new URL(url);
  other.username = serverRole;
  other.password = "server";
  return other.href;
}

const serverRole = "balancectl_test_server";

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
  // On a port, for the proxies that tests put before it.
  const embedded = await openEmbeddedPostgres({ dataDir, listen: { tcpPort: 0 } });
  return {
    url: embedded.url,
    close: async () => {
      await embedded.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
