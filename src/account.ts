import { userInfo } from "node:os";

/** Who runs this, as the operating system knows them; the number where it has no name. */
export function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? "unknown");
  }
}

/** The same as the journal and the audit show it. */
export function account(): string {
  return `os:${accountName()}`;
}
