import { QueryTypes } from "sequelize";
import type { Database } from "./connection.ts";
import { missingRights } from "./rights.ts";
import { sqlState } from "./translate-error.ts";

/**
 * Why the database cannot be worked with, for people; null when it can. Asked at each probe: what was
 * granted may be taken away.
 * @param schema the migration that the database was at when the server started
 */
export async function databaseProblem(
  { sequelize }: Database,
  schema: string,
): Promise<string | null> {
  try {
    const rows = await sequelize.query("SELECT 1 FROM schema_migrations WHERE name = $1", {
      bind: [schema],
      type: QueryTypes.SELECT,
    });
    if (rows.length === 0) return "The database schema is not the one of this server";
    const missing = await missingRights(sequelize);
    return missing.length === 0 ? null : `The database role may not: ${missing.join(", ")}`;
  } catch (error) {
    if (sqlState(error) === "42501") return "The database role may not read schema_migrations";
    return "The database cannot be reached";
  }
}
