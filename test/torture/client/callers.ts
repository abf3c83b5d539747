/**
 * Callers in a closed loop, who do as stock clients do: what a 503 says changed nothing is asked again
 * after its Retry-After, as a new request; what nobody knows is asked again under its key, or looked up;
 * without a key it is let be. Everything asked and answered goes into the history.
 */
import { createRandom, type Random } from "../../support/random.ts";
import { type Claim, claimOf, isWrite } from "../check/claims.ts";
import type { AttemptLine, Line, QuestionLine } from "../history/history.ts";
import { pause } from "../stage/connection.ts";
import { ask, createAgent } from "./ask.ts";
import { exchangeOf } from "./exchange-of.ts";
import { draw, type Known, openingBalance, users, type Wanted } from "./questions.ts";

export interface CallersOptions {
  readonly urls: readonly string[];
  readonly count: number;
  readonly seed: number;
  readonly add: (line: Line) => void;
}

export interface Callers {
  /** Opens the users. */
  open(): Promise<void>;
  /** Ends when each caller has ended with what it was at, at the latest after its last try. */
  run(): Promise<void>;
  stop(): void;
  /** Attempts that were answered so far. */
  answered(): number;
}

/** A caller thinks between two questions, up to this long. */
const thinkMsMax = 25;
const triesMax = 8;
/** A caller's Retry-After is obeyed up to this long: a round has few seconds. */
const retryAfterMsMax = 1_000;

export function createCallers({ urls, count, seed, add }: CallersOptions): Callers {
  const known: Known = { holds: [], versions: new Map() };
  const agent = createAgent();
  let stopped = false;
  let questions = 0;
  let answered = 0;

  function wanted(what: Wanted): QuestionLine {
    questions += 1;
    const question = { type: "question", id: questions, ...what } as const;
    const line = isWrite(question) ? { ...question, reference: `t${questions}` } : question;
    add(line);
    return line;
  }

  async function attempt(question: QuestionLine, dice: Random, keyLookedUp?: string) {
    const server = dice.below(urls.length);
    const sentMs = performance.now();
    const exchange = exchangeOf(question, keyLookedUp);
    const answer = await ask(urls[server] as string, agent, exchange);
    const doneMs = performance.now();
    answered += 1;
    const line = {
      type: "attempt",
      question: question.id,
      server,
      sentMs,
      doneMs,
      ...answer,
    } as const;
    add(line);
    if (line.version !== undefined) known.versions.set(question.user, line.version);
    return line;
  }

  async function perform(what: Wanted, dice: Random): Promise<Claim> {
    let question = wanted(what);
    for (let tries = 1; ; tries += 1) {
      const twin = question.key !== undefined && dice.below(40) === 0;
      const [answer] = await Promise.all([
        attempt(question, dice),
        ...(twin ? [attempt(question, dice)] : []),
      ]);
      const claim = claimOf(answer);
      if (claim === "applied") {
        learn(question, answer);
        await ponder(question, dice);
      }
      if (claim !== "no" && claim !== "unknown") return claim;
      if (tries === triesMax || (stopped && tries > 2)) return claim;
      const { key } = question;
      if (claim === "unknown" && key === undefined) return claim;
      if (claim === "unknown" && dice.below(3) === 0) {
        const found = await lookUp(question, dice);
        if (found !== "unknown" && found !== "no") return found;
      }
      await pause(Math.min(Number(answer.retryAfter ?? 0.2) * 1_000, retryAfterMsMax));
      if (key === undefined) question = wanted(what);
    }
  }

  /** Now and then somebody asks once more, or looks, though the answer is there. */
  async function ponder(question: QuestionLine, dice: Random): Promise<void> {
    if (question.key === undefined) return;
    const whim = dice.below(20);
    if (whim === 0) await attempt(question, dice);
    if (whim === 1) await lookUp(question, dice);
  }

  async function lookUp({ id, user, key }: QuestionLine, dice: Random): Promise<Claim> {
    const question = wanted({ kind: "lookup", user, about: id });
    return claimOf(await attempt(question, dice, key));
  }

  function learn({ kind, user, amount = 0 }: QuestionLine, { data }: AttemptLine): void {
    if (kind === "hold") known.holds.push({ id: String(data?.["id"]), user, amount });
  }

  async function call(dice: Random): Promise<void> {
    while (!stopped) {
      const what = draw(dice, known);
      const key = what.kind !== "read" && dice.below(3) === 0 ? `k${questions + 1}` : undefined;
      await perform(key === undefined ? what : { ...what, key: `${key}-${dice.below(1e9)}` }, dice);
      await pause(dice.below(thinkMsMax));
    }
  }

  return {
    open: async () => {
      const dice = createRandom(seed);
      for (const user of users) {
        const claim = await perform({ kind: "opening", user, amount: openingBalance }, dice);
        if (claim !== "applied") throw new Error(`user ${user} was not opened: ${claim}`);
      }
    },
    run: async () => {
      await Promise.all(
        Array.from({ length: count }, (_, index) => call(createRandom(seed + 7_919 * (index + 1)))),
      );
      agent.destroy();
    },
    stop: () => {
      stopped = true;
    },
    answered: () => answered,
  };
}
