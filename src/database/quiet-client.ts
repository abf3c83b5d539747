import type { Duplex } from "node:stream";
import pg from "pg";
import type { AuthMethod } from "../database-url.ts";

export interface QuietClientConfig extends pg.ClientConfig {
  /** How the server may have us prove who we are. */
  readonly auth?: readonly AuthMethod[];
}

/**
 * When the wait for a synchronous standby is cancelled, PostgreSQL commits all the same and warns, in words that are
 * translated, by a routine that is not: a failover would lose the change.
 */
const standbyWait = "SyncRepWaitForLSN";

/**
 * A client that is listened to from its birth. A session that the server ends right behind its start is an
 * "error" event between two owners, when the pool has let go of the client and whoever asked for it has not
 * taken hold yet; unheard, it would end the process. What was sent over the client is told by its own error.
 *
 * And one that does not give its password to whoever asks for it, as pg does: another may listen where the server did.
 */
export class QuietClient extends pg.Client {
  #gaveUpStandby = false;
  readonly #auth: readonly AuthMethod[];

  constructor(config: QuietClientConfig = {}) {
    super(config);
    this.#auth = config.auth ?? ["scram-sha-256", "none"];
    this.on("error", () => {});
    this.on("notice", ({ routine }) => {
      if (routine === standbyWait) this.#gaveUpStandby = true;
    });
    this.#watchAuthentication();
  }

  /** Asked when a statement has ended: what was said since the one before it is about this one. */
  takeGaveUpStandby(): boolean {
    const gaveUp = this.#gaveUpStandby;
    this.#gaveUpStandby = false;
    return gaveUp;
  }

  /** Of pg: answers with the password. A test watches that it still goes this way. */
  _handleAuthCleartextPassword(message: unknown): void {
    if (this.#allows("password")) ofPg._handleAuthCleartextPassword.call(this, message);
  }

  _handleAuthMD5Password(message: unknown): void {
    if (this.#allows("md5")) ofPg._handleAuthMD5Password.call(this, message);
  }

  _handleAuthSASL(message: unknown): void {
    if (this.#allows("scram-sha-256")) ofPg._handleAuthSASL.call(this, message);
  }

  #allows(method: AuthMethod): boolean {
    if (this.#auth.includes(method)) return true;
    this.#refuse(asks[method]);
    return false;
  }

  /** With SCRAM the server proves that it knows the password too; pg does not mind when it leaves that out. */
  #watchAuthentication(): void {
    const { connection } = internalsOf(this);
    let isAsked = false;
    let isProven = true;
    for (const name of ["authenticationCleartextPassword", "authenticationMD5Password"]) {
      connection.on(name, () => {
        isAsked = true;
      });
    }
    connection.on("authenticationSASL", () => {
      isAsked = true;
      isProven = false;
    });
    connection.on("authenticationSASLFinal", () => {
      isProven = true;
    });
    connection.on("authenticationOk", () => {
      if (!isProven) this.#refuse("has not proven that it knows the password, as SCRAM wants it");
      else if (!isAsked && !this.#auth.includes("none")) this.#refuse(asks.none);
    });
  }

  #refuse(what: string): void {
    const { connection } = internalsOf(this);
    connection.emit("error", Object.assign(new Error(`The server ${what}`), { code: refusedAuth }));
    connection.stream.destroy();
  }
}

/** The code of the error when a server asks for what it is not given. */
export const refusedAuth = "AUTH_REFUSED";

const notGiven =
  "which whoever listens there could keep; it is not sent. Let the server use scram-sha-256 or the URL say " +
  "sslmode=verify-full, or if you trust the way there, require_auth=";

const asks: Readonly<Record<AuthMethod, string>> = {
  password: `asks for the password in clear text, ${notGiven}password`,
  md5: `asks for a digest of the password (md5), ${notGiven}md5`,
  "scram-sha-256": "asks for scram-sha-256, which require_auth in the URL leaves out",
  none: "does not ask for a password, and require_auth in the URL wants it to",
};

/** What the types of pg's Client leave out. */
interface Internals {
  readonly connection: NodeJS.EventEmitter & { readonly stream: Duplex };
}

interface Authenticates {
  _handleAuthCleartextPassword(this: pg.Client, message: unknown): void;
  _handleAuthMD5Password(this: pg.Client, message: unknown): void;
  _handleAuthSASL(this: pg.Client, message: unknown): void;
}

const ofPg = pg.Client.prototype as unknown as Authenticates;

function internalsOf(client: pg.Client): Internals {
  return client as unknown as Internals;
}
