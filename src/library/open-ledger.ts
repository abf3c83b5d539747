/**
 * The ledger in this process, for programs in TypeScript: the same lanes and group commit as a server's, without HTTP;
 * and, with in(), inside a transaction of the caller's.
 */
import { z } from "zod";
import { account } from "../account.ts";
import { type Config, loadConfig } from "../config.ts";
import { connectDatabase } from "../database/connection.ts";
import { requireOneServer } from "../database/one-server.ts";
import * as fields from "../ledger/fields.ts";
import { createLedger } from "../ledger/ledger.ts";
import type { Applied, Operation, Outcome } from "../ledger/operation.ts";
import {
  adjustment,
  capture,
  hold,
  transfer,
  voidHold,
  type WriteOptions,
} from "../ledger/request.ts";
import { verify } from "../ledger/verify.ts";
import { prepareSchema } from "../service/open-database.ts";
import { entriesOf } from "./entries.ts";
import { inTransaction } from "./in-transaction.ts";
import type {
  Adjustment,
  Capture,
  Done,
  Door,
  Entries,
  Entry,
  Hold,
  Opening,
  Queryable,
  Transfer,
  User,
  Verdict,
  Verification,
  Void,
  Writing,
} from "./shapes.ts";

export type { ErrorCode } from "../errors.ts";
// biome-ignore lint/performance/noBarrelFile: the one door of the package
export { BalancectlError } from "../errors.ts";
export {
  knexTransaction,
  kyselyTransaction,
  postgresTransaction,
  sequelizeTransaction,
} from "./adapters.ts";
export type * from "./shapes.ts";

export interface OpenLedgerOptions {
  readonly databaseUrl: string;
  /** Of the tables; where the role's search_path leads when it is left out. */
  readonly schema?: string;
  /** Other settings by their variables, as .env.example has them: BALANCECTL_LANES and so on. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface OpenedLedger extends Door {
  /** @throws BalancectlError USER_NOT_FOUND */
  user(userId: number): Promise<User>;
  /** The journal, a page at a time as it is read. @throws BalancectlError USER_NOT_FOUND */
  entries(userId: number, options?: Entries): AsyncIterable<Entry>;
  /** Re-derives every balance from the journal and names what disagrees. */
  verify(): Promise<Verification>;
  /** The same changes in a transaction of the caller's: docs/sql.md says what to know before. */
  in(transaction: Queryable): Door;
  /** Answers what is under way, and closes the connections. */
  close(): Promise<void>;
}

/** @throws BalancectlError CONFIG_INVALID, SCHEMA_OUTDATED (run `balancectl migrate`), DATABASE_UNAVAILABLE */
export async function openLedger(options: OpenLedgerOptions): Promise<OpenedLedger> {
  const config = configOf(options);
  const url = config.databaseUrl as string;
  await prepareSchema({ url, label: "the database" }, false, new AbortController().signal);
  const database = connectDatabase(url, config);
  try {
    await requireOneServer(database);
  } catch (error) {
    await database.close();
    throw error;
  }
  const ledger = createLedger(database, {
    bounds: config,
    actor: (actors) => actors.numberOf("os", account().slice(3)),
  });
  const apply = async (operation: Operation): Promise<Verdict> =>
    verdictOf(await ledger.apply(operation));
  return {
    adjust: async ({ userId, amount, ...rest }: Adjustment) =>
      await apply(adjustment(id(userId), signed(amount), writing(rest))),
    transfer: async ({ from, to, amount, ...rest }: Transfer) =>
      await apply(
        transfer({ from: id(from), to: id(to), amount: positive(amount) }, writing(rest)),
      ),
    hold: async ({ userId, amount, expiresIn, ...rest }: Hold) =>
      await apply(hold(id(userId), positive(amount), lifetime(expiresIn), writing(rest))),
    capture: async ({ userId, holdId, amount, to, ...rest }: Capture) => {
      const asked = { amount: amount === undefined ? undefined : positive(amount), to };
      return await apply(capture({ userId: id(userId), holdId, ...asked }, writing(rest)));
    },
    void: async ({ userId, holdId, ...rest }: Void) =>
      await apply(voidHold(id(userId), holdId, writing(rest))),
    openUser: async ({ userId, balance = 0, ...rest }: Opening = {}) =>
      verdictOf(await ledger.openUser({ id: userId, balance: whole(balance) }, writing(rest))),
    user: async (userId) => await ledger.user(id(userId)),
    entries: (userId, asked) => entriesOf(ledger, id(userId), asked),
    verify: async () => await verify(url),
    in: (transaction) => inTransaction(transaction, config.schema),
    close: async () => {
      await ledger.drained();
      await database.close();
    },
  };
}

function configOf({ databaseUrl, schema, settings = {} }: OpenLedgerOptions): Config {
  return loadConfig({
    ...settings,
    DATABASE_URL: databaseUrl,
    ...(schema !== undefined && { BALANCECTL_SCHEMA: schema }),
  });
}

/** What may be written is what HTTP lets through. @throws BalancectlError INVALID_REQUEST */
function writing({
  idempotencyKey,
  reference,
  metadata,
  minBalance,
  ifVersion,
}: Writing): WriteOptions {
  const given = { reference, metadata, minBalance };
  const checked = fields.parseRequest(contextFields, given, "options");
  return {
    ...checked,
    ifVersion,
    ...(idempotencyKey !== undefined && {
      idempotencyKey: fields.parseIdempotencyKey(idempotencyKey, "idempotencyKey"),
    }),
  };
}

const contextFields = z.strictObject(fields.writeFields);
const id = (value: number) => fields.parseRequest(fields.idNumber, value, "userId");
const signed = (value: number) => fields.parseRequest(fields.signedAmount, value, "amount");
const positive = (value: number) => fields.parseRequest(fields.positiveAmount, value, "amount");
const whole = (value: number) => fields.parseRequest(fields.balanceAmount, value, "balance");
const lifetime = (value: number | undefined) =>
  value === undefined ? undefined : fields.parseRequest(fields.lifetimeSeconds, value, "expiresIn");

function verdictOf(outcome: Outcome): Verdict {
  const { refusal, balance, version, replayed } = outcome;
  if (refusal !== null) return { refusal, balance, version, replayed };
  const { previousBalance, operationId, createdUserId } = outcome as Applied;
  const done: Done = {
    refusal,
    balance: outcome.balance,
    previousBalance,
    version: outcome.version,
    replayed,
  };
  return {
    ...done,
    ...(operationId !== null && { operationId }),
    ...(createdUserId !== null && { userId: createdUserId }),
  };
}
