/** Every command there is, in the order in which the help shows them. */
import type { DefineCommand } from "../command.ts";
import { defineAdjust } from "./adjust.ts";
import { defineCompletion } from "./completion.ts";
import { defineConfig } from "./config.ts";
import { defineDoctor } from "./doctor.ts";
import { defineHistory } from "./history.ts";
import { defineHolds } from "./holds.ts";
import { defineMigrate } from "./migrate.ts";
import { defineOpenApi } from "./openapi.ts";
import { definePrune } from "./prune.ts";
import { defineServe } from "./serve.ts";
import { defineStress } from "./stress.ts";
import { defineToken } from "./token.ts";
import { defineTransfer } from "./transfer.ts";
import { defineUsers } from "./users.ts";
import { defineVerify } from "./verify.ts";
import { defineWorker } from "./worker.ts";

export const commands: readonly DefineCommand[] = [
  defineServe,
  defineToken,
  defineMigrate,
  defineStress,
  defineVerify,
  definePrune,
  defineAdjust,
  defineTransfer,
  defineHolds,
  defineUsers,
  defineHistory,
  defineDoctor,
  defineConfig,
  defineCompletion,
  defineOpenApi,
  defineWorker,
];
