/** What the servers of the benchmark share: how they begin, how they end, what they answer. */

/** Says where the server is, and ends the process when the benchmark is gone. */
export function announce(url: string): void {
  process.on("disconnect", () => process.exit(0));
  process.on("SIGTERM", () => process.exit(0));
  process.stdout.write(`${JSON.stringify({ url })}\n`);
}

export function changedBody(id: number, balance: number, amount: number): object {
  return { success: true, data: { id, balance, previousBalance: balance - amount, amount } };
}

export const insufficientBody = {
  success: false,
  error: { code: "INSUFFICIENT_FUNDS", message: "Insufficient funds for this operation" },
};

export const notFoundBody = {
  success: false,
  error: { code: "USER_NOT_FOUND", message: "User not found" },
};

export const invalidBody = {
  success: false,
  error: { code: "INVALID_REQUEST", message: "amount must be a whole number other than 0" },
};
