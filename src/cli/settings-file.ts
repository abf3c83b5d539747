/** Says that a file of the working directory decides: nobody named it, and it may not be whose one thinks. */
import { printable } from "../printable.ts";

export interface SettingsFile {
  readonly path: string;
  /** What was taken from it. */
  readonly names: readonly string[];
  /** What it says and only the environment may. */
  readonly ignored: readonly string[];
}

/** @param flags names of the settings that flags have decided */
export function settingsFileLine(
  { path, names, ignored }: SettingsFile,
  flags: readonly string[],
): string | undefined {
  const decided = names.filter((name) => !flags.includes(name)).sort();
  if (decided.length === 0) return undefined;
  const where = decided.includes("DATABASE_URL") || decided.includes("BALANCECTL_DATA_DIR");
  const not = ignored.length > 0 ? `; ignored there: ${ignored.join(", ")}` : "";
  return `Settings from ${printable(path)}${where ? ", the database too" : ""}: ${decided.join(", ")}${not}`;
}
