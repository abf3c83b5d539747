/**
 * Who asks. Entries and keys carry a number, which is given once and never changes, so a process keeps what it
 * has learned of them.
 */
import { QueryTypes } from "sequelize";
import type { Database } from "../database/connection.ts";
import { translateError } from "../database/translate-error.ts";

/** A token by its id, a client by its name, a user of the operating system, a role of the database. */
export type ActorKind = "token" | "client" | "os" | "role";

export interface Actors {
  /** The number of who is called that; given with the first request. */
  numberOf(kind: ActorKind, name: string): Promise<number>;
  /** The same without giving one: undefined for who has never asked for anything. @param text like "os:alice" */
  find(text: string): Promise<number | undefined>;
  /** As people read them, by number: "token:k3x8w2ab", "os:alice". */
  texts(numbers: Iterable<number | null>): Promise<ReadonlyMap<number, string>>;
}

/** Kept names; beyond it all are forgotten, and learned again. */
const keptMax = 10_000;

export function createActors(database: Database): Actors {
  const known = new Map<number, string>();

  async function select<Row extends object>(text: string, bind: unknown[]): Promise<Row[]> {
    try {
      return await database.sequelize.query<Row>(text, { bind, type: QueryTypes.SELECT });
    } catch (error) {
      throw translateError(error);
    }
  }

  return {
    numberOf: async (kind, name) => {
      const [row] = await select<{ id: number }>("SELECT actor_of($1, $2) AS id", [kind, name]);
      return (row as { id: number }).id;
    },
    find: async (text) => {
      const [, kind, name] = /^(\w+):(.+)$/s.exec(text) ?? [];
      const where = "SELECT id FROM actors WHERE kind = $1 AND name = $2";
      const [row] = await select<{ id: number }>(where, [kind ?? "", name ?? ""]);
      return row?.id;
    },
    texts: async (numbers) => {
      const missing = new Set<number>();
      for (const one of numbers) if (one !== null && !known.has(one)) missing.add(one);
      if (missing.size > 0) {
        if (known.size + missing.size > keptMax) known.clear();
        const rows = await select<{ id: number; text: string }>(
          "SELECT id, kind || ':' || name AS text FROM actors WHERE id = ANY ($1::integer[])",
          [[...missing]],
        );
        for (const { id, text } of rows) known.set(id, text);
      }
      return known;
    },
  };
}
