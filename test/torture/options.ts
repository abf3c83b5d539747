/** The command line of the torture. */
import { parseArgs } from "node:util";

export interface TortureOptions {
  readonly minutes: number;
  /** Absent: as many as the minutes have room for. */
  readonly rounds: number | undefined;
  readonly seconds: number;
  readonly seed: number;
  readonly faults: readonly string[] | undefined;
  readonly callers: number;
  /** The folder that every history goes to; absent: those of bad rounds alone are kept. */
  readonly history: string | undefined;
  /** A history to check, and nothing else to do. */
  readonly check: string | undefined;
  readonly list: boolean;
}

export const usage = `npm run torture -- [--minutes n | --rounds n] [--seed n] [--fault name,name]
                   [--seconds n] [--callers n] [--history folder]
npm run torture -- --check file
npm run torture -- --list

  --minutes  how long: rounds of each fault in turn, slow ones in every fourth turn (5)
  --rounds   instead: so many rounds of each, a quarter as many of the slow ones
  --seed     a whole number: the same dice again (one that is drawn and shown)
  --fault    some of those that --list names
  --seconds  the length of a round, beside its start, its end and its check (10)
  --callers  how many call at once (32)
  --history  a folder for the histories; otherwise those of bad rounds are kept in a temporary one
  --check    checks such a history again

TORTURE_POSTGRES is a folder with initdb and postgres, to run on another version than the embedded one.`;

/** @returns undefined when only help was asked for. @throws Error with a text for people */
export function parseOptions(argv: readonly string[]): TortureOptions | undefined {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      minutes: { type: "string" },
      rounds: { type: "string" },
      seed: { type: "string" },
      fault: { type: "string" },
      seconds: { type: "string" },
      callers: { type: "string" },
      history: { type: "string" },
      check: { type: "string" },
      list: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  if (values.minutes !== undefined && values.rounds !== undefined) {
    throw new Error("--minutes and --rounds are two ways to say how long");
  }
  return {
    minutes: whole("--minutes", values.minutes, 5),
    rounds: values.rounds === undefined ? undefined : whole("--rounds", values.rounds, 1),
    seconds: whole("--seconds", values.seconds, 10),
    seed: whole("--seed", values.seed, 1 + Math.floor(Math.random() * 999_999_998)),
    faults: values.fault?.split(","),
    callers: whole("--callers", values.callers, 32),
    history: values.history,
    check: values.check,
    list: values.list,
  };
}

function whole(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new Error(
    `${name} must be a whole number from 1 to 999999999 (it is ${JSON.stringify(text)})`,
  );
}
