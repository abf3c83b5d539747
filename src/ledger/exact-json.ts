/** JSON that says one thing: what JSON.parse reads differently from what was written is refused. */
import { invalidRequest } from "../errors.ts";
import { printable } from "../printable.ts";

/**
 * @param where what the text is, for the message: "body"
 * @throws SyntaxError when it is no JSON
 * @throws BalancectlError INVALID_REQUEST for a field that is there twice, of which JSON.parse would take
 * the last; and for a number that would become another whole number, like 1.0000000000000001
 */
export function parseExactJson(text: string, where: string): unknown {
  const value: unknown = JSON.parse(text);
  // What most requests are, at a tenth of the cost.
  if (!plain.test(text)) examine(text, where);
  return value;
}

/** One field with a short whole number. */
const plain = /^\{"[a-z]+":-?\d{1,15}\}$/;

const quote = 34;
const braceOpen = 123;
const braceClose = 125;

/** @param text known to be JSON, so that each sign is what it looks like. By hand: half of what a pattern takes. */
function examine(text: string, where: string): void {
  const open: Set<string>[] = [];
  let field = where;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) {
      const end = endOfString(text, at);
      const isKey = /\s*:/y;
      isKey.lastIndex = end + 1;
      if (isKey.test(text)) {
        field = addKey(open.at(-1) as Set<string>, text.slice(at, end + 1), where);
      }
      at = end;
    } else if (code === braceOpen) open.push(new Set());
    else if (code === braceClose) open.pop();
    else if (isOfNumber(code)) {
      const start = at;
      while (isOfNumber(text.charCodeAt(at + 1))) at += 1;
      // As long as a double is sure to keep. In "true" there is an e.
      if (at - start >= 15 || /[.eE]/.test(text.slice(start, at + 1))) {
        requireExact(text.slice(start, at + 1), field, where);
      }
    }
  }
}

function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let first = end;
    while (text[first - 1] === "\\") first -= 1;
    if ((end - first) % 2 === 0) return end;
  }
}

/** @returns the name of the field */
function addKey(keys: Set<string>, written: string, where: string): string {
  const key: string = written.includes("\\") ? JSON.parse(written) : written.slice(1, -1);
  if (keys.has(key)) {
    const field = clip(key);
    throw invalidRequest(`${where} has the field ${printable(JSON.stringify(field))} twice`, [
      { in: where, field: printable(field), rule: "must be there once" },
    ]);
  }
  keys.add(key);
  return key;
}

function clip(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/** Digits, sign, point and exponent; a letter of true, false or null is none, but for the e. */
function isOfNumber(code: number): boolean {
  return (
    (code >= 48 && code <= 57) ||
    code === 45 ||
    code === 46 ||
    code === 43 ||
    code === 101 ||
    code === 69
  );
}

function requireExact(literal: string, field: string, where: string): void {
  const read = Number(literal);
  // A fraction stays a fraction, and what is beyond all numbers is no number to anybody.
  if (!Number.isInteger(read) || decimal(literal) === decimal(String(read))) return;
  const rule = "must be a number that can be kept exactly";
  throw invalidRequest(`${clip(field)} ${rule}: ${clip(literal)} would become ${read}`, [
    { in: where, field: printable(clip(field)), rule },
  ]);
}

/** One spelling for one value: its digits without zeros at either end, and how often ten is in it. */
function decimal(literal: string): string {
  const [, whole = "", fraction = "", exponent = "0"] =
    /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(literal) ?? [];
  const digits = (whole + fraction).replace(/^0+/, "");
  const significant = digits.replace(/0+$/, "");
  if (significant === "") return "0";
  const shift = Number(exponent) - fraction.length + (digits.length - significant.length);
  return `${significant}e${shift}`;
}
