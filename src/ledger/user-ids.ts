/** The ids of users who asked for none: the numbers of a sequence, past those chosen by hand. */
import { QueryTypes } from "sequelize";
import type { Database } from "../database/connection.ts";
import { sqlState, translateError } from "../database/translate-error.ts";
import { BalancectlError } from "../errors.ts";
import type { OpeningOperation, Outcome } from "./operation.ts";

type Opened = Outcome<OpeningOperation>;

export interface UserIds {
  /**
   * Opens a user under the next id that is free.
   * @throws BalancectlError USER_EXISTS when all are given, or others take each before `openUnder` can
   */
  open(openUnder: (id: number) => Promise<Opened>): Promise<Opened>;
}

/**
 * One more is enough past any ids chosen by hand; the others are for those who choose, in this very
 * moment, the ids that come next.
 */
const attemptsMax = 10;

const sequenceExhausted = "2200H";

export function createUserIds(database: Database): UserIds {
  let steppedPast = 0;
  let stepping: Promise<void> | undefined;

  async function step(id: number): Promise<void> {
    const past = await value(database, "SELECT skip_user_ids($1) AS value", [id]);
    steppedPast = Math.max(steppedPast, past ?? id);
  }

  async function stepPast(id: number): Promise<void> {
    // Hundreds who came upon taken ids at once share the step.
    while (id > steppedPast) {
      stepping ??= step(id).finally(() => {
        stepping = undefined;
      });
      await stepping;
    }
  }

  return {
    open: async (openUnder) => {
      for (let attempt = 1; attempt <= attemptsMax; attempt++) {
        const id = (await value(database, "SELECT next_user_id() AS value")) as number;
        const outcome = await openUnder(id);
        if (outcome.refusal !== "USER_EXISTS") return outcome;
        await stepPast(id);
      }
      throw new BalancectlError("USER_EXISTS", allTaken);
    },
  };
}

async function value(
  database: Database,
  text: string,
  bind: readonly unknown[] = [],
): Promise<number | undefined> {
  try {
    const [row] = await database.sequelize.query<{ value: number }>(text, {
      bind: [...bind],
      type: QueryTypes.SELECT,
    });
    return row?.value;
  } catch (error) {
    if (sqlState(error) === sequenceExhausted) throw new BalancectlError("USER_EXISTS", allGiven);
    throw translateError(error);
  }
}

const allTaken =
  `The ${attemptsMax} ids that came next were all taken by others in that moment; ` +
  "nothing was changed: try again, or send an id of your own";

const allGiven =
  "All ids up to 9007199254740991 have been given; nothing was changed: send an id that is free";
