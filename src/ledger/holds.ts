/**
 * Reading holds. When they are read, their user is looked up first, so that holds which
 * are due are closed by then.
 */
import { Op } from "sequelize";
import type { Database } from "../database/connection.ts";
import type { HoldRow } from "../database/models.ts";
import { translateError } from "../database/translate-error.ts";

export type Hold = HoldRow;

/** Where a page of holds begins: among the open ones or the closed ones, before this id. */
export interface HoldPosition {
  readonly open: boolean;
  readonly before: string | null;
}

export async function findHold(
  database: Database,
  userId: number,
  id: string,
): Promise<Hold | null> {
  try {
    const row = await database.models.Hold.findOne({ where: { userId, id }, raw: true });
    return row as unknown as Hold | null;
  } catch (error) {
    throw translateError(error);
  }
}

/** Open holds first, then closed ones, newest first in each. */
export async function listHolds(
  database: Database,
  userId: number,
  position: HoldPosition,
  limit: number,
): Promise<Hold[]> {
  try {
    if (!position.open) return await page(database, userId, position, limit);
    const open = await page(database, userId, position, limit);
    if (open.length === limit) return open;
    const closed = { open: false, before: null };
    return open.concat(await page(database, userId, closed, limit - open.length));
  } catch (error) {
    throw translateError(error);
  }
}

async function page(
  database: Database,
  userId: number,
  { open, before }: HoldPosition,
  limit: number,
): Promise<Hold[]> {
  const rows = await database.models.Hold.findAll({
    where: {
      userId,
      state: open ? "open" : { [Op.ne]: "open" },
      ...(before !== null && { id: { [Op.lt]: before } }),
    },
    order: [["id", "desc"]],
    limit,
    raw: true,
  });
  return rows as unknown as Hold[];
}
