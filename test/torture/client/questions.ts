/** What a caller wants next: thrown with the dice, of users that are few, so that they meet. */
import type { Random } from "../../support/random.ts";
import type { QuestionLine } from "../history/history.ts";

/** The first is everybody's favourite. */
export const users = Array.from({ length: 12 }, (_, index) => 101 + index);
export const openingBalance = 1_000;

export type Wanted = Omit<QuestionLine, "type" | "id" | "reference">;

/** What the callers have learnt together. */
export interface Known {
  readonly holds: { readonly id: string; readonly user: number; readonly amount: number }[];
  /** The version that was seen last, by user. */
  readonly versions: Map<number, number>;
}

/** Kinds by how often of a hundred they are drawn. */
const kinds = [
  ["adjust", 46],
  ["transfer", 14],
  ["batch", 4],
  ["hold", 7],
  ["capture", 4],
  ["void", 4],
  ["conditional", 5],
  ["read", 16],
] as const;
const deck = kinds.flatMap(([kind, count]) => Array.from({ length: count }, () => kind));

export function draw(dice: Random, known: Known): Wanted {
  const user = pickUser(dice);
  const amount = 1 + dice.below(60);
  const kind = dice.pick(deck);
  switch (kind) {
    case "adjust":
      return {
        kind,
        user,
        amount: dice.below(100) < 55 ? -amount : amount,
        ...(dice.below(20) === 0 && { minBalance: dice.below(500) }),
      };
    case "conditional": {
      const ifVersion = known.versions.get(user);
      return { kind: "adjust", user, amount, ...(ifVersion !== undefined && { ifVersion }) };
    }
    case "transfer":
      return { kind, user, amount, to: another(dice, user) };
    case "batch": {
      const legs = Array.from({ length: 2 + dice.below(3) }, () => ({
        to: another(dice, user),
        amount: 1 + dice.below(20),
      }));
      return { kind, user, legs, amount: legs.reduce((sum, leg) => sum + leg.amount, 0) };
    }
    case "hold":
      return { kind, user, amount, ...(dice.below(3) === 0 && { expiresIn: 1 + dice.below(3) }) };
    case "capture":
    case "void":
      return closing(dice, known, kind) ?? { kind: "read", user };
    case "read":
      return { kind, user };
  }
}

/** Mostly one that is open; now and then a second time. */
function closing(dice: Random, known: Known, kind: "capture" | "void"): Wanted | undefined {
  if (known.holds.length === 0) return undefined;
  const at = dice.below(known.holds.length);
  const hold = known.holds[at];
  if (!hold) return undefined;
  if (dice.below(4) > 0) known.holds.splice(at, 1);
  const of = { kind, user: hold.user, hold: hold.id, holdAmount: hold.amount };
  if (kind === "void") return of;
  return {
    ...of,
    amount: 1 + dice.below(hold.amount),
    ...(dice.below(2) === 0 && { to: another(dice, hold.user) }),
  };
}

function pickUser(dice: Random): number {
  return dice.below(100) < 30 ? (users[0] as number) : dice.pick(users);
}

function another(dice: Random, user: number): number {
  const other = dice.pick(users);
  return other === user ? another(dice, user) : other;
}
