/** Reading the journal: pages by version, and the balance at a moment. */
import { Op, QueryTypes } from "sequelize";
import type { Database } from "../database/connection.ts";
import type { EntryRow } from "../database/models.ts";
import { translateError } from "../database/translate-error.ts";
import type { Actors } from "./actors.ts";

/** With its actor as people read it. */
export type Entry = Omit<EntryRow, "actor"> & { readonly actor: string | null };

export interface HistoryQuery {
  readonly userId: number;
  readonly order: "asc" | "desc";
  readonly limit: number;
  /** Half-open: from <= time < to. */
  readonly from?: Date | undefined;
  readonly to?: Date | undefined;
  /** The version of the last entry of the page before. */
  readonly after?: number | undefined;
  /** Those alone that this one asked for: "token:k3x8w2ab". */
  readonly actor?: string | undefined;
}

/** @returns at most `limit` entries, and whether more follow */
export async function readHistory(
  database: Database,
  actors: Actors,
  query: HistoryQuery,
): Promise<{ entries: Entry[]; more: boolean }> {
  const { userId, order, limit, from, to, after } = query;
  const actor = query.actor === undefined ? undefined : await actors.find(query.actor);
  if (query.actor !== undefined && actor === undefined) return { entries: [], more: false };
  try {
    // Times follow versions, so a span of time is a span of versions.
    const low = from && (await versionAt(database, userId, from, { before: true })) + 1;
    const high = to && (await versionAt(database, userId, to, { before: true }));
    const version: Record<symbol, number> = {};
    if (low !== undefined) version[Op.gte] = low;
    if (high !== undefined) version[Op.lte] = high;
    if (after !== undefined) version[order === "asc" ? Op.gt : Op.lt] = after;
    const rows = await database.models.Entry.findAll({
      where: {
        ...{ userId, version: { [Op.gte]: 1, ...version } },
        ...(actor !== undefined && { actor }),
      },
      order: [["version", order]],
      limit: limit + 1,
      raw: true,
    });
    const found = rows as unknown as EntryRow[];
    const texts = await actors.texts(found.map((row) => row.actor));
    const entries = found.slice(0, limit).map((row) => ({
      ...row,
      actor: row.actor === null ? null : (texts.get(row.actor) ?? null),
    }));
    return { entries, more: found.length > limit };
  } catch (error) {
    throw translateError(error);
  }
}

/** The balance right after everything that happened up to and including `at`; 0 before the first entry. */
export async function balanceAt(database: Database, userId: number, at: Date): Promise<number> {
  try {
    const version = await versionAt(database, userId, at);
    const attributes = ["balance"];
    const row = await database.models.Entry.findOne({
      attributes,
      where: { userId, version },
      raw: true,
    });
    return (row as unknown as Entry | null)?.balance ?? 0;
  } catch (error) {
    throw translateError(error);
  }
}

/** The last version stamped with `at` or earlier; with `before`, earlier. 0 before the first. */
async function versionAt(
  database: Database,
  userId: number,
  at: Date,
  { before = false } = {},
): Promise<number> {
  // Times have microseconds; "before" a moment is "at or before" the microsecond before it.
  const [row] = await database.sequelize.query<{ version: number }>(
    "SELECT version_at($1, $2::timestamptz - $3 * interval '1 microsecond') AS version",
    { bind: [userId, at, before ? 1 : 0], type: QueryTypes.SELECT },
  );
  return row?.version ?? 0;
}
