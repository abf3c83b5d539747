/**
 * What a random run is made of. A step names users, holds and earlier requests by small numbers,
 * which are given a meaning when its turn comes: so that fast-check can leave steps out and the
 * rest still makes sense.
 */
import fc from "fast-check";
import type { Model } from "./ledger-model.ts";
import type { Read } from "./read-model.ts";
import type { Write, WriteBody } from "./write-model.ts";

export type Step =
  | { readonly do: "write"; readonly write: DraftWrite }
  | { readonly do: "replay"; readonly pick: number; readonly changed: boolean }
  | { readonly do: "read"; readonly read: DraftRead }
  | { readonly do: "wait"; readonly seconds: number }
  | { readonly do: "bad"; readonly pick: number };

/** A write before it is known which hold it means and which version is the user's. */
interface DraftWrite extends Omit<Write, "version" | "holdId"> {
  readonly holdPick: number;
  /** Added to the user's version for If-Match. */
  readonly versionOff: number | undefined;
}

interface DraftRead {
  readonly read: Read["read"];
  readonly userId: number;
  readonly pick: number;
  readonly order: "asc" | "desc";
  /** Seconds back from now. */
  readonly ago: number;
  readonly span: number | undefined;
  readonly key: string;
}

const max = Number.MAX_SAFE_INTEGER;
const optional = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.option(arbitrary, { nil: undefined, freq: 3 });

/** 1 to 3 are there from the beginning; 4 to 6 may come to be. */
const userId = fc.oneof(
  { arbitrary: fc.integer({ min: 1, max: 3 }), weight: 12 },
  { arbitrary: fc.integer({ min: 4, max: 6 }), weight: 1 },
);
const amount = fc.oneof(
  { arbitrary: fc.integer({ min: 1, max: 12 }), weight: 10 },
  { arbitrary: fc.integer({ min: 1, max: 120 }), weight: 3 },
  { arbitrary: fc.constantFrom(max, max - 1, max - 60), weight: 1 },
);
const key = fc.oneof(
  { weight: 3, arbitrary: fc.constant(undefined) },
  { weight: 1, arbitrary: fc.constantFrom("k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8") },
);
const context = fc.record(
  {
    reference: fc.constantFrom("order 17", "рахунок 7 — «оплата»", "'; DROP TABLE users; --"),
    metadata: fc.constantFrom({ a: 1, b: [null, true, { c: "ї" }] }, { b: 2, a: 1.5 }, {}),
    minBalance: fc.integer({ min: 0, max: 20 }),
  },
  { requiredKeys: [] },
);
const guards = {
  key,
  versionOff: fc.constantFrom(...new Array(9).fill(undefined), 0, 0, 0, 0, 1, -1),
  holdPick: fc.nat({ max: 30 }),
};

/** Keeps a field that has a value: absent is not the same as undefined in JSON's eyes. */
function present(body: Record<string, unknown>): WriteBody {
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined));
}

const leg = fc
  .record({
    from: userId,
    people: fc.constantFrom(3, 3, 3, 6),
    off: fc.integer({ min: 1, max: 2 }),
    amount,
    context,
  })
  .map(({ from, people, off, amount: much, context: about }) =>
    present({ from, to: ((from - 1 + off) % people) + 1, amount: much, ...about }),
  );

const writes: Readonly<Record<Write["kind"], fc.Arbitrary<DraftWrite>>> = {
  adjustment: fc
    .record({ ...guards, userId, amount, sign: fc.constantFrom(-1, -1, 1), context })
    .map(({ amount: much, sign, context: about, ...rest }) => {
      return { ...rest, kind: "adjustment", body: present({ amount: much * sign, ...about }) };
    }),
  opening: fc
    .record({ ...guards, id: optional(userId), balance: fc.oneof(fc.constant(0), amount), context })
    .map(({ id, balance, context: { minBalance: _, ...about }, ...rest }) => {
      const body = present({ id, balance, ...about });
      return { ...rest, versionOff: undefined, kind: "opening", body };
    }),
  transfer: fc.record({ ...guards, body: leg, kind: fc.constant("transfer" as const) }),
  batch: fc
    .record({ ...guards, transfers: fc.array(leg, { minLength: 1, maxLength: 5 }) })
    .map(({ transfers, ...rest }) => ({ ...rest, kind: "batch", body: { transfers } })),
  hold: fc
    .record({ ...guards, userId, amount, expiresIn: fc.option(fc.constantFrom(1, 3, 30)), context })
    .map(({ amount: much, expiresIn, context: about, ...rest }) => {
      const body = present({ amount: much, expiresIn: expiresIn ?? undefined, ...about });
      return { ...rest, kind: "hold", body };
    }),
  capture: fc
    .record({
      ...guards,
      userId,
      amount: optional(fc.nat({ max: 12 }).map((n) => n + 1)),
      to: optional(userId),
      context,
    })
    .map(({ amount: much, to, context: about, ...rest }) => {
      return { ...rest, kind: "capture", body: present({ amount: much, to, ...about }) };
    }),
  void: fc
    .record({ ...guards, userId, context })
    .map(({ context: { minBalance: _, ...about }, ...rest }) => {
      return { ...rest, kind: "void", body: present(about) };
    }),
};

const reads: fc.Arbitrary<DraftRead> = fc.record({
  read: fc.constantFrom<Read["read"][]>(
    ...(["users", "user", "balance-at", "entries", "entries"] as const),
    ...(["holds", "hold", "transfer", "operation"] as const),
  ),
  userId,
  pick: fc.nat({ max: 30 }),
  order: fc.constantFrom("asc" as const, "desc" as const),
  ago: fc.constantFrom(0, 0.001, 0.01, 1, 5, 100),
  span: optional(fc.constantFrom(0, 0.005, 2, 50)),
  key: fc.constantFrom("k1", "k2", "k3", "k4"),
});

export const step: fc.Arbitrary<Step> = fc.oneof(
  ...Object.entries(writes).map(([kind, arbitrary]) => {
    const weight = kind === "adjustment" || kind === "hold" ? 5 : kind === "opening" ? 2 : 4;
    return { weight, arbitrary: arbitrary.map((write): Step => ({ do: "write", write })) };
  }),
  { weight: 4, arbitrary: reads.map((read): Step => ({ do: "read", read })) },
  {
    weight: 4,
    arbitrary: fc
      .record({ pick: fc.nat({ max: 30 }), changed: fc.boolean() })
      .map((replay): Step => ({ do: "replay", ...replay })),
  },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom(0.5, 1, 2, 5, 31, 31 * 86_400, -0.002, -3)
      .map((seconds): Step => ({ do: "wait", seconds })),
  },
  { weight: 1, arbitrary: fc.nat({ max: 30 }).map((pick): Step => ({ do: "bad", pick })) },
);

/** The write that a draft means now. Mostly a hold's own user asks about it, at times another. */
export function meantWrite(model: Model, draft: DraftWrite): Write {
  const { holdPick, versionOff, ...write } = draft;
  const payer = write.userId ?? write.body.from ?? write.body.transfers?.[0]?.from ?? 0;
  const about = write.kind === "capture" || write.kind === "void";
  const hold = about ? nth([...model.holds.values()], holdPick) : undefined;
  const userId = holdPick % 5 === 4 ? write.userId : (hold?.userId ?? write.userId);
  const current = model.users.get(hold ? (userId ?? 0) : payer)?.version;
  return {
    ...write,
    ...(about && { holdId: hold?.id ?? "00000000-0000-7000-8000-000000000000" }),
    ...(userId !== undefined && { userId }),
    // A capture that pays its own user is refused at the edge: see the bad requests.
    ...(about && write.body.to === userId && { body: { ...write.body, to: 9 } }),
    version:
      versionOff === undefined || current === undefined
        ? undefined
        : Math.max(current + versionOff, 0),
  };
}

/** An earlier write with a key once more, or another one under its key. */
export function repeated(
  sent: readonly Write[],
  pick: number,
  changed: boolean,
): Write | undefined {
  const write = nth(sent, pick);
  if (!write || !changed) return write;
  return { ...write, body: { ...write.body, ...changedField(write) } };
}

function changedField({ kind, body }: Write): WriteBody {
  if (kind === "batch")
    return { transfers: [...(body.transfers ?? []), { from: 1, to: 2, amount: 1 }] };
  if (kind === "void") return { reference: "changed" };
  if (kind === "opening") return { balance: body.balance === 1 ? 2 : 1 };
  return { amount: body.amount === 1 ? 2 : 1 };
}

export function meantRead(model: Model, draft: DraftRead, nowMs: number): Read {
  const { read, userId: user, pick, order, ago, span, key: k } = draft;
  const time = (secondsAgo: number) => new Date(nowMs - secondsAgo * 1_000).toISOString();
  const unknown = "00000000-0000-7000-8000-000000000000";
  switch (read) {
    case "users":
      return { read };
    case "user":
    case "holds":
      return { read, userId: user };
    case "balance-at":
      return { read, userId: user, at: time(ago) };
    case "entries": {
      const from = ago === 0 ? {} : { from: time(ago) };
      return { read, userId: user, order, ...from, ...(span && { to: time(ago - span) }) };
    }
    case "hold": {
      const hold = nth([...model.holds.values()], pick);
      return { read, userId: hold?.userId ?? user, holdId: hold?.id ?? unknown };
    }
    case "transfer": {
      const entry = nth(
        model.entries.filter(({ kind }) => kind === "transfer"),
        pick,
      );
      return { read, id: entry?.operationId ?? unknown };
    }
    case "operation":
      return { read, userId: user, key: k };
  }
}

function nth<T>(list: readonly T[], pick: number): T | undefined {
  return list.length === 0 ? undefined : list[pick % list.length];
}
