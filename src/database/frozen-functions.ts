/**
 * Database functions: people edit and review migrations/functions/NAME.sql, and each migration that
 * ships a function holds a frozen copy of it (`npm run migration:freeze`):
 *
 *     -- from functions/NAME.sql
 *     CREATE OR REPLACE FUNCTION NAME(...) ... AS $$
 *     ...
 *     END $$;
 *
 * What a database should hold is the newest copy among the migrations that were applied to it.
 */

export interface FrozenFunction {
  readonly name: string;
  /** Of the source, whole, with the line break at its end. */
  readonly text: string;
}

/** The copies in a migration, in their order. A copy ends with the first line that ends with `$$;`. */
export function frozenFunctions(sql: string): FrozenFunction[] {
  const copies = sql.matchAll(/^-- from functions\/(\w+)\.sql\n(.*?\$\$;\n)/gms);
  return [...copies].map(([, name = "", text = ""]) => ({ name, text }));
}

/** What PostgreSQL keeps of it, as pg_proc.prosrc. */
export function bodyOf({ text }: FrozenFunction): string {
  return text.slice(text.indexOf("$$") + 2, text.lastIndexOf("$$"));
}
