/** Every route there is. */
import type { Route } from "../route.ts";
import { adjustBalance } from "./balance.ts";
import { listEntries } from "./entries.ts";
import { getHealth, getReadiness } from "./health.ts";
import { captureHold, getHold, listHolds, makeHold, voidHold } from "./holds.ts";
import { getMetrics } from "./metrics.ts";
import { getOpenApi } from "./openapi.ts";
import { getOpening, getOperation } from "./operations.ts";
import { getTransfer, makeTransfer, makeTransferBatch } from "./transfers.ts";
import { getUser, listUsers, openUser } from "./users.ts";

/** The busiest first: they are tried in order. */
export const routes: readonly Route[] = [
  adjustBalance,
  openUser,
  listUsers,
  getUser,
  makeTransfer,
  makeTransferBatch,
  getTransfer,
  makeHold,
  listHolds,
  getHold,
  captureHold,
  voidHold,
  listEntries,
  getOperation,
  getOpening,
  getHealth,
  getReadiness,
  getOpenApi,
  getMetrics,
];
