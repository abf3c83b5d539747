/** What an answer claims about the change that was asked for. */
import type { AttemptLine, QuestionLine } from "../history/history.ts";

/** "invalid": an answer that no request of ours should get. */
export type Claim = "applied" | "refused" | "no" | "unknown" | "invalid";

const refusals = new Set([
  "INSUFFICIENT_FUNDS",
  "BALANCE_LIMIT_EXCEEDED",
  "PRECONDITION_FAILED",
  "HOLD_CLOSED",
  "CAPTURE_EXCEEDS_HOLD",
  "OPERATION_NOT_FOUND",
  "USER_NOT_FOUND",
  "USER_EXISTS",
  "HOLD_NOT_FOUND",
  "IDEMPOTENCY_KEY_REUSED",
]);

/** Nothing can have been sent, so nothing was changed. */
const neverConnected = new Set(["ECONNREFUSED"]);

const saysNo = /nothing was changed/i;
const saysUnknown = /may or may not|not known/i;

export function claimOf(attempt: AttemptLine): Claim {
  const { status, code, message = "", applied, lostBy = "" } = attempt;
  if (status === 0) return neverConnected.has(lostBy) ? "no" : "unknown";
  if (status >= 200 && status < 300) return "applied";
  if (code !== undefined && refusals.has(code)) return "refused";
  if (applied === "no") return "no";
  if (applied === "unknown") return "unknown";
  if (status === 424 || status >= 500) return saysNo.test(message) ? "no" : "unknown";
  return "invalid";
}

/** Whether a failed write says neither that it changed nothing nor that nobody knows. */
export function isSilent(question: QuestionLine, attempt: AttemptLine): boolean {
  const { status, message = "", applied } = attempt;
  if (!isWrite(question) || (status !== 503 && status !== 424)) return false;
  return (
    applied !== "no" && applied !== "unknown" && !saysNo.test(message) && !saysUnknown.test(message)
  );
}

export function isWrite({ kind }: QuestionLine): boolean {
  return kind !== "read" && kind !== "lookup";
}

/** All that was ever said of a question. */
export interface Claims {
  readonly applied: readonly AttemptLine[];
  readonly refused: readonly AttemptLine[];
  /** How it stands: "applied" and "refused" may contradict each other, "applied" goes first. */
  readonly final: Claim;
}

export function claimsOf(attempts: readonly AttemptLine[]): Claims {
  const claims = attempts.map(claimOf);
  const having = (claim: Claim) => attempts.filter((_, index) => claims[index] === claim);
  const applied = having("applied");
  const refused = having("refused");
  const final =
    applied.length > 0
      ? "applied"
      : refused.length > 0
        ? "refused"
        : claims.includes("unknown")
          ? "unknown"
          : claims.includes("no")
            ? "no"
            : "invalid";
  return { applied, refused, final };
}
