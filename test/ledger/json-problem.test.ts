import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { whereNotJson } from "../../src/ledger/json-problem.ts";

describe("where a text stops being JSON", () => {
  test.each([
    ["", 0],
    ["{", 1],
    ['{"amount":-2', 12],
    ['{"amount":}', 10],
    ['{"amount":-2,}', 13],
    ["{amount:-2}", 1],
    ['{"amount" -2}', 10],
    ['{"amount":01}', 10],
    ['{"amount":-2} x', 14],
    ['{"a":"b\nc"}', 5],
    ["[1,2", 4],
    ["[1,]", 3],
    ["[1}", 2],
    ["nul", 0],
    ['"\\x"', 0],
    ["NaN", 0],
  ])("%j: %i", (text, offset) => {
    expect(() => JSON.parse(text)).toThrow(SyntaxError);
    expect(whereNotJson(text).offset).toBe(offset);
  });

  test("lines and columns are as editors count", () => {
    const text = '{\n  "amount": -2,\n  oops\n}';
    expect(whereNotJson(text)).toEqual({ offset: 20, line: 3, column: 3 });
  });

  test("as deep as a body can be, and as long", () => {
    expect(whereNotJson("[".repeat(100_000)).offset).toBe(100_000);
    expect(whereNotJson(`"${"a".repeat(100_000)}`).offset).toBe(0);
  });

  test("of what was JSON up to a cut, nothing behind the cut is blamed", () => {
    fc.assert(
      fc.property(fc.json(), fc.nat(), (text, cut) => {
        const broken = `${text.slice(0, cut % (text.length + 1))}\u0000`;
        const { offset } = whereNotJson(broken);
        expect(offset).toBeLessThan(broken.length);
      }),
    );
  });
});
