import pg from "pg";
import { hearNotice } from "./one-value-query.ts";

/**
 * A client that is listened to from its birth. A session that the server ends right behind its start is an
 * "error" event between two owners, when the pool has let go of the client and whoever asked for it has not
 * taken hold yet; unheard, it would end the process. What was sent over the client is told by its own error.
 */
export class QuietClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config);
    this.on("error", () => {});
    this.on("notice", (notice) => hearNotice(this, notice));
  }
}
