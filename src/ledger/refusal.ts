import { BalancectlError, type ErrorDetails, errorMessages } from "../errors.ts";
import { balanceMax, type Operation, type Refusal, type Refused } from "./operation.ts";

/** A refusal for people and programs: the code that clients know, and whom it is about. */
export interface ExplainedRefusal {
  readonly code: Exclude<Refusal, "RECIPIENT_NOT_FOUND">;
  readonly message: string;
}

/** Of a batch, the leg that was refused is named. */
export function explainRefusal(outcome: Refused, operation: Operation): ExplainedRefusal {
  const { refusal, refusedLeg, holdState } = outcome;
  if (holdState !== null) return { code: "HOLD_CLOSED", message: `The hold is ${holdState}` };
  if (refusedLeg === null) return explain(refusal, operation, boundOf(outcome, operation));
  const leg = operation.legs?.[refusedLeg - 2] ?? operation;
  const bound = leg === operation ? boundOf(outcome, leg) : "balance";
  const { code, message } = explain(refusal, leg, bound);
  return { code, message: `transfers.${refusedLeg - 1}: ${message}` };
}

/**
 * What programs would otherwise read out of the message. The balance is the payer's alone, as it was when this was
 * decided; of a batch it is known for the first transfer only, because the others come behind it.
 */
export function refusalDetails(outcome: Refused, operation: Operation): ErrorDetails | undefined {
  const { refusal, refusedLeg, holdState, version } = outcome;
  if (holdState !== null) return { state: holdState };
  const leg = refusedLeg === null ? undefined : { leg: refusedLeg - 1 };
  const of = (refusedLeg !== null && operation.legs?.[refusedLeg - 2]) || operation;
  switch (refusal) {
    case "USER_NOT_FOUND":
    case "USER_EXISTS":
      return { ...leg, userId: of.userId };
    case "RECIPIENT_NOT_FOUND":
      return { ...leg, userId: of.toUserId };
    case "INSUFFICIENT_FUNDS":
      return of === operation ? { ...leg, ...shortfall(outcome, of) } : leg;
    case "PRECONDITION_FAILED":
      return version === null ? leg : { ...leg, version };
    default:
      return leg;
  }
}

/**
 * `needed`: what there must be to begin with. A capture takes out of what is held, and has none; nor has what no balance
 * can be.
 */
function shortfall(outcome: Refused, operation: Operation): ErrorDetails {
  const { balance, version } = outcome;
  const needed = costOf(operation) + (operation.minBalance ?? 0);
  const rule = boundOf(outcome, operation);
  const isKnown = operation.kind !== "capture" && needed <= balanceMax;
  return { rule, balance, ...(isKnown && { needed }), version };
}

/** Which bound it would have gone below: that of every balance, or what the request wants to be left. */
function boundOf({ refusal, balance }: Refused, operation: Operation): Bound {
  const isBound = refusal === "INSUFFICIENT_FUNDS" && operation.minBalance !== undefined;
  return isBound && balance !== null && balance >= costOf(operation) ? "minBalance" : "balance";
}

function costOf({ kind, amount }: Operation): number {
  if (kind === "adjustment") return -(amount ?? 0);
  return kind === "transfer" || kind === "hold" ? (amount ?? 0) : 0;
}

/** The same to throw: where a refusal ends the work. */
export function refusalError(refused: Refused, operation: Operation): BalancectlError {
  const { code, message } = explainRefusal(refused, operation);
  return new BalancectlError(code, message, { details: refusalDetails(refused, operation) });
}

type Bound = "balance" | "minBalance";

function explain(
  refusal: Refusal,
  { userId, toUserId }: Operation,
  bound: Bound,
): ExplainedRefusal {
  if (bound === "minBalance") {
    return { code: "INSUFFICIENT_FUNDS", message: "Less than minBalance would be left" };
  }
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
