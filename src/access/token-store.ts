/** Tokens in the database: made and revoked by administrators, and looked at by each server. */
import type { HostClient } from "../database/host-client.ts";
import { connect } from "../database/migration-connection.ts";
import { sqlState, translateError } from "../database/translate-error.ts";
import type { Writer } from "../database/writers.ts";
import { BalancectlError } from "../errors.ts";
import { createToken } from "../token.ts";
import type { Right } from "./caller.ts";

export interface TokenRequest {
  readonly client: string;
  readonly right: Right;
  /** Null: all users. */
  readonly userIds: readonly number[] | null;
  /** Requests a second; null: as many as the server can. */
  readonly rate: number | null;
  readonly lifetimeSeconds: number | null;
}

export interface StoredToken {
  readonly id: string;
  readonly client: string;
  readonly scope: Right;
  readonly userIds: readonly number[] | null;
  readonly rate: number | null;
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
}

/**
 * Makes a token. With the first one every server on this database begins to ask for one, and goes on to when it is
 * revoked.
 * @param by who makes it, like "os:alice"
 * @returns it, with its whole text, which nothing keeps
 */
export async function makeToken(
  url: string,
  request: TokenRequest,
  by: string,
): Promise<StoredToken & { readonly text: string }> {
  const { id, text, digest } = createToken();
  const { client, right, userIds, rate, lifetimeSeconds } = request;
  const values = [id, digest, client, right, userIds, rate, by, lifetimeSeconds];
  const details = { token: id, client, scope: right, userIds, rate };
  const made = await asAdministrator(url, by, "token.create", details, async (connection) => {
    const { rows } = await connection.query<StoredToken>(insert, values);
    return rows[0] as StoredToken;
  });
  return { ...made, text };
}

/**
 * @param which an id, or the name of a client whose tokens are all meant
 * @returns those that were revoked; one that had been, is not among them
 */
export async function revokeTokens(url: string, which: string, by: string): Promise<StoredToken[]> {
  return await asAdministrator(url, by, "token.revoke", { which }, async (connection) => {
    const { rows } = await connection.query<StoredToken>(revoke, [which]);
    return rows;
  });
}

/** Newest first, also those that are revoked or have expired. */
export async function listTokens(url: string): Promise<StoredToken[]> {
  const connection = await connect(url);
  try {
    const { rows } = await connection.query<StoredToken>(
      `SELECT ${columns} FROM tokens ORDER BY created_at DESC, id`,
    );
    return rows;
  } catch (error) {
    throw asRightsProblem(error);
  } finally {
    await connection.end();
  }
}

/** Whether a token was ever made. */
export async function isClosed(url: string): Promise<boolean> {
  const connection = await connect(url);
  try {
    const { rows } = await connection.query("SELECT FROM access_state WHERE closed_at IS NOT NULL");
    return rows.length > 0;
  } catch (error) {
    throw translateError(error);
  } finally {
    await connection.end();
  }
}

const columns = `
  id, client, scope, user_ids::text[]::float8[] AS "userIds", rate, created_at AS "createdAt",
  created_by AS "createdBy", expires_at AS "expiresAt", revoked_at AS "revokedAt"`;

const insert = `
  INSERT INTO tokens (id, digest, client, scope, user_ids, rate, created_by, expires_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7,
          date_trunc('milliseconds', clock_timestamp() + $8::double precision * interval '1 second'))
  RETURNING ${columns}`;

const revoke = `
  UPDATE tokens SET revoked_at = date_trunc('milliseconds', clock_timestamp())
   WHERE (id = $1 OR client = $1) AND revoked_at IS NULL
  RETURNING ${columns}`;

/** The change and its line in the audit: both or neither. */
async function asAdministrator<T>(
  url: string,
  by: string,
  action: string,
  details: object,
  change: (connection: HostClient) => Promise<T>,
): Promise<T> {
  const connection = await connect(url);
  try {
    await connection.query("BEGIN");
    const done = await change(connection);
    await connection.query("SELECT write_audit($1, $2, $3)", [by, action, JSON.stringify(details)]);
    await connection.query("COMMIT");
    return done;
  } catch (error) {
    throw asRightsProblem(error);
  } finally {
    await connection.end();
  }
}

function asRightsProblem(error: unknown): BalancectlError {
  if (sqlState(error) !== "42501") return translateError(error);
  return new BalancectlError(
    "DATABASE_UNAVAILABLE",
    "This database role may not change who may ask: use the one that owns the tables, which ran `balancectl migrate`",
    { cause: error },
  );
}

/** What a server knows of the tokens, as of a version. */
export interface KnownTokens {
  readonly version: number;
  /** Whether a token has ever been made. */
  readonly closed: boolean;
  /** Those that are not revoked; null when the version is the one that was known. */
  readonly tokens: readonly KnownToken[] | null;
}

export interface KnownToken {
  readonly id: string;
  readonly digest: string;
  readonly client: string;
  readonly scope: Right;
  readonly userIds: readonly number[] | null;
  readonly rate: number | null;
  readonly expiresAtMs: number | null;
  /** Numbers of actor_of(). */
  readonly actor: number;
  readonly clientNumber: number;
}

/** @param version that is known already; -1 for none */
export async function readTokens(writer: Writer, version: number): Promise<KnownTokens> {
  return JSON.parse((await writer.query(known, [String(version)])) as string);
}

const known = {
  name: "known_tokens",
  text: `
    SELECT json_build_object(
             'version', s.version, 'closed', s.closed_at IS NOT NULL,
             'tokens', CASE WHEN s.version <> $1::bigint THEN (
               SELECT coalesce(json_agg(json_build_object(
                        'id', t.id, 'digest', t.digest, 'client', t.client, 'scope', t.scope,
                        'userIds', t.user_ids, 'rate', t.rate,
                        'expiresAtMs', extract(epoch FROM t.expires_at) * 1000,
                        'actor', actor_of('token', t.id),
                        'clientNumber', actor_of('client', t.client))), '[]')
                 FROM tokens t WHERE t.revoked_at IS NULL) END)
      FROM access_state s`,
};
