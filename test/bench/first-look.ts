/** One look at a server before it is measured: it must do the job, or its speed means nothing. */
import { isDeepStrictEqual } from "node:util";
import { amountTaken, type Work } from "./load/load.ts";

interface Answer {
  readonly status: number;
  readonly body: {
    readonly data?: { readonly balance?: number };
    readonly error?: { code: string };
  };
}

export interface FirstLook {
  /** The route is not there. */
  readonly missing: boolean;
  readonly problems: readonly string[];
}

/** @param refuses whether it has to know when a balance is not enough */
export async function lookAt(url: string, work: Work, refuses: boolean): Promise<FirstLook> {
  if (work.kind === "transfer") {
    const body = { from: work.first, to: work.first + 1, amount: amountTaken };
    const { status } = await send(url, "POST", "/api/transfers", body);
    const problems = status < 300 || status === 404 ? [] : [`a transfer is answered ${status}`];
    return { missing: status === 404, problems };
  }
  return { missing: false, problems: await lookAtWithdrawals(url, work, refuses) };
}

async function lookAtWithdrawals(url: string, work: Work, refuses: boolean): Promise<string[]> {
  const problems: string[] = [];
  const id = work.first;
  const path = `/api/users/${id}/balance`;
  const put = (amount: number, headers: Readonly<Record<string, string>> = {}) =>
    send(url, "PUT", path, { amount }, headers);

  const answer = await put(-amountTaken);
  const balance = answer.body.data?.balance ?? Number.NaN;
  const previousBalance = balance + amountTaken;
  const data = { id, balance, previousBalance, amount: -amountTaken };
  if (answer.status !== 200 || !isDeepStrictEqual(answer.body, { success: true, data })) {
    problems.push(`a withdrawal is answered ${answer.status} ${JSON.stringify(answer.body)}`);
  }
  if (refuses) {
    const refusal = await put(-(balance + 1));
    if (refusal.status !== 422 || refusal.body.error?.code !== "INSUFFICIENT_FUNDS") {
      problems.push(`more than there is: ${refusal.status} ${JSON.stringify(refusal.body)}`);
    }
  }
  if (work.keyed) {
    const headers = { "Idempotency-Key": "first-look" };
    const first = await put(-amountTaken, headers);
    const again = await put(-amountTaken, headers);
    if (first.status !== 200 || !isDeepStrictEqual(first, again)) {
      problems.push("the same Idempotency-Key was not answered in the same way");
    }
    const { body } = await put(-amountTaken);
    if (body.data?.balance !== balance - 2 * amountTaken) {
      problems.push("the same Idempotency-Key changed the balance twice");
    }
  }
  return problems;
}

async function send(
  url: string,
  method: string,
  path: string,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const response = await fetch(url + path, {
    method,
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Answer["body"] };
}
