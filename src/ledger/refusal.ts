import { BalancectlError, type ErrorCode, errorMessages } from "../errors.ts";
import type { Operation, Refusal } from "./operation.ts";

/** A refusal as an error to show: the code that clients know, and which user it is about. */
export function refusalError(refusal: Refusal, operation: Operation): BalancectlError {
  switch (refusal) {
    case "USER_NOT_FOUND":
      return new BalancectlError(refusal, `User ${operation.userId} not found`);
    case "RECIPIENT_NOT_FOUND":
      return new BalancectlError("USER_NOT_FOUND", `User ${operation.toUserId} (to) not found`);
    case "USER_EXISTS":
      return new BalancectlError(refusal, `User ${operation.userId} exists already`);
    default:
      return new BalancectlError(refusal satisfies ErrorCode, errorMessages[refusal]);
  }
}
