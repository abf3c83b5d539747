/** Limits of what people may ask for that more than one place checks. */

/** Ten years, in seconds: a hold that lives longer was meant to have no end. */
export const holdSecondsMax = 315_360_000;

/** Ten years: how long idempotency keys are kept. */
export const idempotencyDaysMax = 3_650;

/** Transfers of one all-or-none batch. */
export const legsMax = 500;

export const portMax = 65_535;

/** Of a stress run. */
export const stressMax = {
  // What an array can hold and a terminal can wait for; beyond it is a typing error.
  requests: 100_000_000,
  // More than a system has file descriptors.
  sockets: 1_000_000,
  // A second.
  rate: 1_000_000,
  durationSeconds: 86_400,
  // Each is created, read back and kept in mind with a few hundred bytes.
  users: 100_000,
  // Steeper than this, all but the first few users are never drawn.
  skew: 10,
  seed: 2 ** 32 - 1,
  timeoutSeconds: 3_600,
} as const;
