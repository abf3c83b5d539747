/**
 * Where a text stops being JSON. The engine says it in words, of which each release has its own, and of a short text
 * not at all; so whoever has to tell a program looks once more, when a body has been refused.
 */
export interface TextPosition {
  /** In UTF-16 units, from 0. */
  readonly offset: number;
  /** From 1, as editors count. */
  readonly line: number;
  readonly column: number;
}

/** @param text known to be no JSON. @returns where what cannot be read begins; its end where something is missing */
export function whereNotJson(text: string): TextPosition {
  const offset = firstProblem(text);
  const before = text.slice(0, offset).split("\n");
  return { offset, line: before.length, column: (before.at(-1) ?? "").length + 1 };
}

const blank = /[ \t\n\r]*/y;
const string = /"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/y;
const plain = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\d.])/y;

/** What may come next. */
type Next = "value" | "value or ]" | "key" | "key or }" | ":" | "more";

/** Without recursion: a text of nothing but brackets is deeper than the stack. */
function firstProblem(text: string): number {
  const open: ("[" | "{")[] = [];
  let next: Next = "value";
  let at = 0;
  const take = (token: RegExp): boolean => {
    token.lastIndex = at;
    const isThere = token.test(text);
    if (isThere) at = token.lastIndex;
    return isThere;
  };
  const takeSign = (sign: string): boolean => {
    const isThere = text[at] === sign;
    if (isThere) at += 1;
    return isThere;
  };
  const begin = (sign: "[" | "{"): boolean => takeSign(sign) && open.push(sign) > 0;
  const end = (): boolean => takeSign(open.at(-1) === "[" ? "]" : "}") && open.pop() !== undefined;

  for (;;) {
    take(blank);
    if (next === "more") {
      if (open.length === 0) return at;
      if (takeSign(",")) next = open.at(-1) === "[" ? "value" : "key";
      else if (!end()) return at;
    } else if (next === ":") {
      if (!takeSign(":")) return at;
      next = "value";
    } else if (next === "key" || next === "key or }") {
      if (take(string)) next = ":";
      else if (next === "key or }" && end()) next = "more";
      else return at;
    } else if (next === "value or ]" && end()) next = "more";
    else if (begin("[")) next = "value or ]";
    else if (begin("{")) next = "key or }";
    else if (take(string) || take(plain)) next = "more";
    else return at;
  }
}
