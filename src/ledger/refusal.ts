import { BalancectlError, errorMessages } from "../errors.ts";
import type { Operation, Refusal, Refused } from "./operation.ts";

/** A refusal for people and programs: the code that clients know, and whom it is about. */
export interface ExplainedRefusal {
  readonly code: Exclude<Refusal, "RECIPIENT_NOT_FOUND">;
  readonly message: string;
}

/** Of a batch, the leg that was refused is named. */
export function explainRefusal(
  { refusal, refusedLeg, holdState }: Refused,
  operation: Operation,
): ExplainedRefusal {
  if (holdState !== null) return { code: "HOLD_CLOSED", message: `The hold is ${holdState}` };
  if (refusedLeg === null) return explain(refusal, operation);
  const leg = operation.legs?.[refusedLeg - 2] ?? operation;
  const { code, message } = explain(refusal, leg);
  return { code, message: `transfers.${refusedLeg - 1}: ${message}` };
}

/** The same to throw: where a refusal ends the work. */
export function refusalError(refused: Refused, operation: Operation): BalancectlError {
  const { code, message } = explainRefusal(refused, operation);
  return new BalancectlError(code, message);
}

function explain(refusal: Refusal, { userId, toUserId }: Operation): ExplainedRefusal {
  switch (refusal) {
    case "USER_NOT_FOUND":
      return { code: refusal, message: `User ${userId} not found` };
    case "RECIPIENT_NOT_FOUND":
      return { code: "USER_NOT_FOUND", message: `User ${toUserId} (to) not found` };
    case "USER_EXISTS":
      return { code: refusal, message: `User ${userId} exists already` };
    default:
      return { code: refusal, message: errorMessages[refusal] };
  }
}
