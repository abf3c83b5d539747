import { expect, test } from "vitest";
import {
  createToken,
  digestOf,
  isWhole,
  looksLikeOurs,
  parseSettingTokens,
} from "../../src/token.ts";

test("a token says what it is, and a cut or mistyped one is told from one that is not known", () => {
  const { id, text, digest } = createToken();
  expect(text).toMatch(/^bctl_[0-9A-Za-z]{8}_[0-9A-Za-z]{49}$/);
  expect(text.slice(5, 13)).toBe(id);
  expect(digest).toBe(digestOf(text));
  expect(isWhole(text)).toBe(true);
  expect(isWhole(createToken().text)).toBe(true);
  for (const [at, char] of [...text].entries()) {
    const wrong = text.slice(0, at) + (char === "x" ? "y" : "x") + text.slice(at + 1);
    expect([at, isWhole(wrong)]).toEqual([at, false]);
  }
  expect(isWhole(text.slice(0, -1))).toBe(false);
  expect(isWhole(`${text}a`)).toBe(false);
  expect([looksLikeOurs(text.slice(0, 9)), looksLikeOurs("github_pat_1")]).toEqual([true, false]);
});

test("1,000 have nothing in common", () => {
  const tokens = Array.from({ length: 1_000 }, createToken);
  expect(new Set(tokens.map(({ id }) => id)).size).toBe(1_000);
  expect(new Set(tokens.map(({ text }) => text.slice(14, 57))).size).toBe(1_000);
});

test("settings: names, scopes, any long text, comments", () => {
  const { text } = createToken();
  const other = "openssl/rand:hex=32".padEnd(40, "z");
  expect(parseSettingTokens(`# two\nshop:write:${text}\n\n ops:admin:${other} ,`)).toEqual([
    { client: "shop", scope: "write", digest: digestOf(text) },
    { client: "ops", scope: "admin", digest: digestOf(other) },
  ]);
  expect(parseSettingTokens("")).toEqual([]);
});
