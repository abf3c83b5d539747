/** A question as an HTTP request. */
import type { QuestionLine } from "../history/history.ts";
import type { Exchange } from "./ask.ts";

/** @param keyLookedUp of a look-up */
export function exchangeOf(question: QuestionLine, keyLookedUp?: string): Exchange {
  const { kind, user, amount, to, legs, hold, key, ifVersion, expiresIn } = question;
  const { reference, minBalance } = question;
  const more = { ...(reference && { reference }), ...(minBalance !== undefined && { minBalance }) };
  const headers = {
    ...(key !== undefined && { "Idempotency-Key": key }),
    ...(ifVersion !== undefined && { "If-Match": `"v${ifVersion}"` }),
  };
  const post = (path: string, body: object): Exchange => ({ method: "POST", path, headers, body });
  switch (kind) {
    case "opening":
      return post("/api/users", { id: user, balance: amount, reference });
    case "adjust": {
      const path = `/api/users/${user}/balance`;
      return { method: "PUT", path, headers, body: { amount, ...more } };
    }
    case "transfer":
      return post("/api/transfers", { from: user, to, amount, ...more });
    case "batch":
      return post("/api/transfers/batch", {
        transfers: (legs ?? []).map((leg) => ({ from: user, ...leg, ...more })),
      });
    case "hold":
      return post(`/api/users/${user}/holds`, {
        amount,
        ...(expiresIn !== undefined && { expiresIn }),
        ...more,
      });
    case "capture":
      return post(`/api/users/${user}/holds/${hold}/capture`, {
        amount,
        ...(to !== undefined && { to }),
        ...more,
      });
    case "void":
      return post(`/api/users/${user}/holds/${hold}/void`, more);
    case "read":
      return { method: "GET", path: `/api/users/${user}`, headers };
    case "lookup": {
      const path = `/api/users/${user}/operations/${keyLookedUp}`;
      return { method: "GET", path, headers };
    }
  }
}
