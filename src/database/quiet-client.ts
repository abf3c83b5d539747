import pg from "pg";

/**
 * When the wait for a synchronous standby is cancelled, PostgreSQL commits all the same and warns, in words that are
 * translated, by a routine that is not: a failover would lose the change.
 */
const standbyWait = "SyncRepWaitForLSN";

/**
 * A client that is listened to from its birth. A session that the server ends right behind its start is an
 * "error" event between two owners, when the pool has let go of the client and whoever asked for it has not
 * taken hold yet; unheard, it would end the process. What was sent over the client is told by its own error.
 */
export class QuietClient extends pg.Client {
  #gaveUpStandby = false;

  constructor(config?: string | pg.ClientConfig) {
    super(config);
    this.on("error", () => {});
    this.on("notice", ({ routine }) => {
      if (routine === standbyWait) this.#gaveUpStandby = true;
    });
  }

  /** Asked when a statement has ended: what was said since the one before it is about this one. */
  takeGaveUpStandby(): boolean {
    const gaveUp = this.#gaveUpStandby;
    this.#gaveUpStandby = false;
    return gaveUp;
  }
}
