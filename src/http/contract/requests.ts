/** What requests may say: their bodies and queries. What they answer is in answers.ts. */
import { z } from "zod";
import {
  actorText,
  balanceAmount,
  idNumber,
  idText,
  lifetimeSeconds,
  metadata,
  pageLimit,
  positiveAmount,
  reference,
  signedAmount,
  timeText,
  writeFields,
} from "../../ledger/fields.ts";
import { legsMax } from "../../limits.ts";

export const adjustmentBody = z.strictObject({ amount: signedAmount, ...writeFields });

export const openingBody = z.strictObject({
  id: idNumber.optional(),
  balance: balanceAmount.default(0),
  reference: reference.optional(),
  metadata: metadata.optional(),
});

export const transferBody = z.strictObject({
  from: idNumber,
  to: idNumber,
  amount: positiveAmount,
  ...writeFields,
});

export const transferBatchBody = z.strictObject({
  transfers: z
    .array(transferBody, { error: "must be an array of transfers" })
    .min(1, { error: "must have at least one transfer" })
    .max(legsMax, { error: `must have at most ${legsMax} transfers` }),
});

export const holdBody = z.strictObject({
  amount: positiveAmount,
  expiresIn: lifetimeSeconds.optional(),
  ...writeFields,
});

export const captureBody = z.strictObject({
  amount: positiveAmount.optional(),
  to: idNumber.optional(),
  ...writeFields,
});

export const voidBody = z.strictObject({
  reference: writeFields.reference,
  metadata: writeFields.metadata,
});

export const userQuery = z.strictObject({ at: timeText.optional() });

/** Of a list that comes in pages. */
export const pageQuery = z.strictObject({ limit: pageLimit, cursor: z.string().optional() });

/** Beyond an id, or where a page before ended. */
export const usersQuery = z.strictObject({ ...pageQuery.shape, after: idText.optional() });

export const entryOrder = z.enum(["asc", "desc"], { error: "must be asc or desc" });

export const entriesQuery = z.strictObject({
  limit: pageLimit,
  cursor: z.string().optional(),
  order: entryOrder.optional(),
  from: timeText.optional(),
  to: timeText.optional(),
  actor: actorText.optional(),
});
