import type { Entry } from "./history.ts";

/** An entry as it is shown, over HTTP and on the command line. Absent fields are left out. */
export function entryView(entry: Entry): object {
  const { version, amount, balance, kind, operationId, reference, metadata, createdAt } = entry;
  return {
    version,
    amount,
    balance,
    kind,
    ...(operationId && { [kind === "transfer" ? "transferId" : "holdId"]: operationId }),
    ...(reference !== null && { reference }),
    ...(metadata !== null && { metadata }),
    createdAt: createdAt.toISOString(),
  };
}
