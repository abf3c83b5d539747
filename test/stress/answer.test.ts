import { describe, expect, it } from "vitest";
import { buildShot, classifyAnswer, classifyFailure } from "../../src/stress/answer.ts";

const shot = buildShot("", 7, -2);
const data = { id: 7, balance: 98, previousBalance: 100, amount: -2 };
const success = (part: object = {}) =>
  JSON.stringify({ success: true, data: { ...data, ...part } });
const refusal = (code: unknown, part: object = {}) =>
  JSON.stringify({ success: false, error: { code, message: "refused" }, ...part });

describe("buildShot", () => {
  it("is the request of the API, below a path where there is one", () => {
    expect(shot.path).toBe("/api/users/7/balance");
    expect(buildShot("/v1", 7, -2).path).toBe("/v1/api/users/7/balance");
    expect(shot.body.toString()).toBe('{"amount":-2}');
  });
});

describe("classifyAnswer", () => {
  it("takes a success to the letter, with whatever is added to it", () => {
    expect(classifyAnswer(200, success(), shot)).toEqual({ kind: "succeeded", balance: 98 });
    expect(classifyAnswer(200, success({ more: 1 }), shot).kind).toBe("succeeded");
    const last = success({ balance: 0, previousBalance: 2 });
    expect(classifyAnswer(200, last, shot)).toEqual({ kind: "succeeded", balance: 0 });
  });

  it.each([
    ["nothing", ""],
    ["not JSON", "<html>"],
    ["null", "null"],
    ["an array", "[]"],
    ["no data", '{"success":true}'],
    ["success false", JSON.stringify({ success: false, data })],
    ["success as text", JSON.stringify({ success: "true", data })],
    ["another user", success({ id: 8 })],
    ["the id as text", success({ id: "7" })],
    ["another amount", success({ amount: -3 })],
    ["the amount without its sign", success({ amount: 2 })],
    ["a sum that is wrong", success({ balance: 97 })],
    ["a previous balance that is wrong", success({ previousBalance: 99 })],
    ["the balance as text", success({ balance: "98" })],
    ["no previous balance", success({ previousBalance: undefined })],
    ["a balance below zero", success({ balance: -1, previousBalance: 1 })],
    ["a balance that is not whole", success({ balance: 97.5, previousBalance: 99.5 })],
    ["a balance beyond exactness", success({ balance: 2 ** 60 - 2, previousBalance: 2 ** 60 })],
    ["a refusal", refusal("INSUFFICIENT_FUNDS")],
  ])("does not take a 200 with %s for a success", (_name, body) => {
    const outcome = classifyAnswer(200, body, shot);
    expect(outcome).toEqual({ kind: "answer", cause: "malformed 200" });
  });

  it("takes the refusal only under its status and code", () => {
    const body = refusal("INSUFFICIENT_FUNDS");
    expect(classifyAnswer(422, body, shot)).toEqual({ kind: "insufficientFunds" });
  });

  it.each([
    [201, success(), "201 without a code"],
    [204, "", "204 without a code"],
    [302, "", "302 without a code"],
    [400, refusal("INSUFFICIENT_FUNDS"), "400 INSUFFICIENT_FUNDS"],
    [422, refusal("BALANCE_LIMIT_EXCEEDED"), "422 BALANCE_LIMIT_EXCEEDED"],
    [422, refusal("insufficient_funds"), "422 without a code"],
    [422, refusal("INSUFFICIENT_FUNDS", { success: true }), "422 without a code"],
    [422, "", "422 without a code"],
    [500, refusal(null), "500 without a code"],
    [502, "<html>", "502 without a code"],
    [503, refusal("OVERLOADED"), "503 OVERLOADED"],
    [503, refusal("A".repeat(65)), "503 without a code"],
    [503, refusal("\u001b[31mRED"), "503 without a code"],
  ])("counts %i %s as %s", (status, body, cause) => {
    expect(classifyAnswer(status, body, shot)).toEqual({ kind: "answer", cause });
  });
});

describe("classifyFailure", () => {
  it.each([
    [Object.assign(new Error("read"), { code: "ECONNRESET" }), "ECONNRESET"],
    [Object.assign(new Error("all"), { code: "ECONNREFUSED" }), "ECONNREFUSED"],
    [Object.assign(new Error("closed"), { code: "UND_ERR_SOCKET" }), "connection closed"],
    [Object.assign(new Error("slow"), { code: "UND_ERR_HEADERS_TIMEOUT" }), "timeout"],
    [Object.assign(new Error("x"), { name: "HTTPParserError" }), "malformed answer"],
    [new TypeError("what"), "TypeError"],
    ["text", "unknown"],
    [undefined, "unknown"],
  ])("names the cause of %s", (error, cause) => {
    expect(classifyFailure(error)).toEqual({ kind: "noAnswer", cause });
  });
});
