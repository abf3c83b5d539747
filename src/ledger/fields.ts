/** What requests may say. Schemas are data: they validate here and can describe the API elsewhere. */
import { z } from "zod";
import { invalidRequest, type Problem } from "../errors.ts";
import { holdSecondsMax } from "../limits.ts";
import { printable } from "../printable.ts";
import { balanceMax } from "./operation.ts";

/** Longest metadata, as JSON text in UTF-8 whose numbers are written out, as PostgreSQL keeps them. */
export const metadataBytesMax = 4_096;

const range = (min: number) => `a whole number from ${min} to ${balanceMax}`;

/** A change: a JSON integer, not 0. */
export const signedAmount = z
  .int({ error: `must be a whole number other than 0, from -${balanceMax} to ${balanceMax}` })
  .refine((n) => n !== 0, { error: "must not be 0" });

export const positiveAmount = z
  .int({ error: `must be ${range(1)}` })
  .min(1, { error: `must be ${range(1)}` });

export const balanceAmount = z
  .int({ error: `must be ${range(0)}` })
  .min(0, { error: `must be ${range(0)}` });

export const idNumber = positiveAmount;

/** An id in a path or a query: plain digits, as printed. */
export const idText = z
  .string()
  .regex(/^[1-9]\d{0,15}$/, { error: `must be ${range(1)}` })
  .transform(Number)
  .refine((n) => n <= balanceMax, { error: `must be ${range(1)}` });

/** The id of a transfer or a hold. */
export const uuidText = z.guid({ error: "must be a UUID" }).transform((text) => text.toLowerCase());

const lifetimeRule = `must be a whole number of seconds from 1 to ${holdSecondsMax}`;

/** How long a hold lives. */
export const lifetimeSeconds = z
  .int({ error: lifetimeRule })
  .min(1, { error: lifetimeRule })
  .max(holdSecondsMax, { error: lifetimeRule });

const timeRule = "must be an RFC 3339 time with its offset, like 2026-01-31T12:00:00Z";

/** A moment: RFC 3339 with its offset, like 2026-01-31T12:00:00Z. */
export const timeText = z.iso
  .datetime({
    offset: true,
    error: ({ input }) =>
      lostPlus.test(String(input)) ? `${timeRule}; in a URL its + is written %2B` : timeRule,
  })
  .transform((text) => new Date(text))
  // An offset can lead out of the years that RFC 3339 has.
  .refine(hasFourDigitYear, { error: "must be in the years 0000 to 9999 (UTC)" });

/** What a URL's query makes of +01:00, where + stands for a blank. */
const lostPlus = /\d \d\d:\d\d$/;

function hasFourDigitYear(time: Date): boolean {
  const year = time.getUTCFullYear();
  return year >= 0 && year <= 9999;
}

/** Entries or users a page. */
export const pageLimit = z
  .string()
  .regex(/^[1-9]\d{0,3}$/, { error: "must be a whole number from 1 to 1000" })
  .transform(Number)
  .refine((n) => n <= 1_000, { error: "must be a whole number from 1 to 1000" })
  .default(100);

/** Text that people and programs match by: no control characters, no pictographs. */
const referenceRule = /^[\p{L}\p{Mn}\p{Mc}\p{N}\p{P}\p{Zs}\p{Sm}\p{Sc}\p{Sk}]+$/u;
export const reference = z
  .string({ error: "must be a string" })
  .min(1, { error: "must not be empty", abort: true })
  .max(255, { error: "must have at most 255 characters" })
  .regex(referenceRule, {
    error: "may have letters, digits, punctuation and spaces; no control characters and no emoji",
  });

export const metadata = z
  // Not z.record, which drops a field called __proto__ without a word.
  .custom<Readonly<Record<string, unknown>>>(isObject, {
    error: "must be a JSON object",
    abort: true,
  })
  .check((asked) => {
    const message = sizeProblem(asked.value);
    // What is too large may also be too deep to be walked.
    if (message)
      asked.issues.push({ code: "custom", message, input: asked.value, continue: false });
  })
  .refine(isStorable, { error: "must not contain NUL, broken Unicode or numbers beyond range" });

/** Who asked, as the journal shows it. */
export const actorText = z
  .string()
  .regex(/^(token|os|role):.{1,255}$/, { error: 'must be like "token:k3x8w2ab" or "os:alice"' });

/** What every write accepts beside its own fields. */
export const writeFields = {
  reference: reference.optional(),
  metadata: metadata.optional(),
  minBalance: balanceAmount.optional(),
};

/**
 * @param value with or without the quotes of a structured header
 * @throws BalancectlError INVALID_REQUEST when it is not 1 to 255 visible ASCII characters
 */
export function parseIdempotencyKey(value: string, name: string): string {
  const key = /^".*"$/.test(value) ? value.slice(1, -1) : value;
  if (/^[\x21-\x7e]{1,255}$/.test(key)) return key;
  const rule = "must be 1 to 255 visible ASCII characters without spaces";
  throw invalidRequest(`${name} ${rule}`, [problemIn(name, "", rule)]);
}

/** Where a schema has no words of its own, zod's are for programmers. */
function wordsOf(issue: z.core.$ZodIssue): string {
  if (issue.code !== "invalid_type" || !issue.message.startsWith("Invalid input")) {
    return issue.message;
  }
  return mustBe[issue.expected] ?? `must be of type ${issue.expected}`;
}

const mustBe: Readonly<Record<string, string>> = {
  object: "must be a JSON object",
  array: "must be a list",
  string: "must be one text",
};

/**
 * @param where what is parsed, for the message: "body", "query" or "path"
 * @throws BalancectlError INVALID_REQUEST that names every field that is wrong, and what is
 */
export function parseRequest<T>(schema: z.ZodType<T>, value: unknown, where: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => {
    if (issue.code === "unrecognized_keys") {
      const shownKeys = issue.keys.slice(0, 5).map((key) => clip(JSON.stringify(key)));
      if (issue.keys.length > 5) shownKeys.push(`and ${issue.keys.length - 5} more`);
      return `${issue.path.join(".") || where} has no field ${shownKeys.join(", ")}`;
    }
    const path = issue.path.map(String).join(".");
    const rule = wordsOf(issue);
    if (path === "") {
      return where === "body"
        ? `body must be a JSON object (it is ${shown(value)})`
        : `${where} ${rule} (it is ${shown(value)})`;
    }
    const given = at(value, issue.path);
    if (given === undefined) return `${path} is missing: it ${rule}`;
    return `${path} ${rule} (it is ${shown(given)})`;
  });
  const each = result.error.issues.flatMap((issue) => problemsOf(issue, where));
  throw invalidRequest(problems.join("; "), each);
}

/** Fields that are not known are one issue: each is a problem, up to as many as anybody reads. */
function problemsOf(issue: z.core.$ZodIssue, where: string): Problem[] {
  const path = issue.path.map(String);
  if (issue.code !== "unrecognized_keys") {
    return [problemIn(where, path.join("."), wordsOf(issue))];
  }
  const keys = issue.keys.slice(0, 20).map(clip);
  return keys.map((key) => problemIn(where, [...path, key].join("."), "is not known here"));
}

/** @param where "body", "query", a header's name, or "path: " and the parameter's name */
function problemIn(where: string, path: string, rule: string): Problem {
  const [place = "", name = path] = where.split(": ");
  return { in: place, field: name, rule };
}

function at(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (inner, key) => (inner as Record<PropertyKey, unknown> | null | undefined)?.[key],
    value,
  );
}

function shown(value: unknown): string {
  if (typeof value === "number") return String(value);
  if (Array.isArray(value)) return "an array";
  if (value !== null && typeof value === "object") return "an object";
  return clip(JSON.stringify(value) ?? "undefined");
}

function clip(text: string): string {
  return printable(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * jsonb keeps 5e-324 as 326 characters and gives them to every reader: without a bound on those, a page of a few
 * megabytes becomes one of 190.
 */
function sizeProblem(value: unknown): string | undefined {
  const rule = `must have at most ${metadataBytesMax} bytes as JSON`;
  let text: string;
  try {
    text = JSON.stringify(value);
  } catch {
    // Nested deeper than the stack: far beyond the limit.
    return rule;
  }
  const bytes = Buffer.byteLength(text);
  if (bytes > metadataBytesMax) return rule;
  if (!/\de[+-]\d/.test(text) || bytes + growthOf(value) <= metadataBytesMax) return undefined;
  return `${rule} with its numbers written out, as they are kept (1e300 is 301 bytes); a text is kept as it is`;
}

/** How many characters longer the numbers are without exponents. JavaScript writes one with a single digit before it. */
function growthOf(value: unknown): number {
  if (typeof value === "number") {
    const text = String(value);
    const found = /^-?\d(?:\.(\d+))?e([+-]\d+)$/.exec(text);
    if (found === null) return 0;
    const [, fraction = "", exponent] = found;
    const power = Number(exponent);
    // 1.5e-7 is 0.00000015, 1.5e+21 a 15 with 20 zeros.
    const digits = power < 0 ? "0.".length + fraction.length - power : power + 1;
    return digits + (value < 0 ? 1 : 0) - text.length;
  }
  if (value === null || typeof value !== "object") return 0;
  return Object.values(value).reduce((sum: number, inner) => sum + growthOf(inner), 0);
}

/** jsonb takes neither NUL nor lone surrogates; JSON.parse turns 1e400 into Infinity. */
function isStorable(value: unknown): boolean {
  if (typeof value === "string") return !value.includes("\0") && isWellFormed(value);
  if (typeof value === "number") return Number.isFinite(value);
  if (value === null || typeof value !== "object") return true;
  return Object.entries(value).every(([key, inner]) => isStorable(key) && isStorable(inner));
}

function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}
