/** Who is there: the same users everywhere, so rich that no withdrawal is refused. */

/** User 1 is made by a migration, with a balance of its own. */
export const firstUser = 2;
export const userCount = 10_000;
export const openingBalance = 1e15;
