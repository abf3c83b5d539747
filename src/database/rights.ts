import { QueryTypes, type Sequelize } from "sequelize";

const needed: readonly [table: string, right: string][] = [
  ...["SELECT", "INSERT", "UPDATE"].map((right): [string, string] => ["users", right]),
  ...["SELECT", "INSERT"].map((right): [string, string] => ["entries", right]),
  ...["SELECT", "INSERT", "UPDATE"].map((right): [string, string] => ["holds", right]),
  ...["idempotency_keys", "batch_receipts"].flatMap((table) =>
    ["SELECT", "INSERT", "UPDATE", "DELETE"].map((right): [string, string] => [table, right]),
  ),
];

/** What the role that we are may not do and a server has to, as "INSERT on entries". */
export async function missingRights(sequelize: Sequelize): Promise<string[]> {
  const rows = await sequelize.query<{ missing: string }>(
    `SELECT "right" || ' on ' || "table" AS missing
     FROM unnest($1::text[], $2::text[]) AS needed ("table", "right")
     WHERE NOT has_table_privilege("table", "right")
     UNION ALL
     SELECT "right" || ' on ' || "sequence"
     FROM pg_get_serial_sequence('users', 'id') AS "sequence", unnest('{USAGE,UPDATE}'::text[]) AS "right"
     WHERE NOT has_sequence_privilege("sequence", "right")`,
    {
      bind: [needed.map(([table]) => table), needed.map(([, right]) => right)],
      type: QueryTypes.SELECT,
    },
  );
  return rows.map(({ missing }) => missing);
}
