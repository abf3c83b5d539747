/**
 * What a token looks like: `bctl_ID_SECRETSUM`. The prefix is for people and for programs that search for secrets that
 * leaked; the id names it in lists and in the journal; the sum (CRC-32, as GitHub's tokens have it) tells one that
 * was cut or mistyped from one that is not known. The secret is 256 random bits.
 */
import { hash, randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";

export interface NewToken {
  readonly id: string;
  /** The whole, which is shown once. */
  readonly text: string;
  readonly digest: string;
}

export function createToken(): NewToken {
  const id = base62(randomBytes(8), 11).slice(-8);
  const body = `bctl_${id}_${base62(randomBytes(32), 43)}`;
  const text = body + sumOf(body);
  return { id, text, digest: digestOf(text) };
}

/**
 * What is kept of a token: its SHA-256. No slow hash, because nobody guesses 256 bits, and none to compare with a clock
 * in hand: tokens are found by their digest, of which a stranger can choose no part.
 */
export function digestOf(token: string): string {
  return hash("sha256", token, "base64url");
}

/** Whether it is one that was made whole: shape and sum. */
export function isWhole(token: string): boolean {
  return shape.test(token) && token.endsWith(sumOf(token.slice(0, -sumLength)));
}

/** Whether somebody meant one of ours. */
export function looksLikeOurs(token: string): boolean {
  return token.startsWith("bctl_");
}

const shape = /^bctl_[0-9A-Za-z]{8}_[0-9A-Za-z]{49}$/;
const sumLength = 6;
const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

function sumOf(text: string): string {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(text));
  return base62(sum, sumLength);
}

function base62(bytes: Buffer, length: number): string {
  let rest = BigInt(`0x${bytes.toString("hex")}`);
  let text = "";
  for (; rest > 0n; rest /= 62n) text = `${digits[Number(rest % 62n)]}${text}`;
  return text.padStart(length, "0");
}

/** A token that the settings name, and what it may do. */
export interface SettingToken {
  readonly client: string;
  readonly scope: "read" | "write" | "admin";
  readonly digest: string;
}

/**
 * One a line, or behind a comma: NAME:SCOPE:TOKEN. Any text of 32 characters and more is a token.
 * @throws Error that says which one is wrong, by its place, and never what it is
 */
export function parseSettingTokens(text: string): SettingToken[] {
  const lines = text.split(/[\n,]/).map((line) => line.trim());
  return lines
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line, index) => {
      const [, client, scope, token] = settingShape.exec(line) ?? [];
      if (client === undefined || token === undefined) {
        throw new Error(`must be NAME:SCOPE:TOKEN, and number ${index + 1} is not: ${settingRule}`);
      }
      if (looksLikeOurs(token) && !isWhole(token)) {
        throw new Error(`has a token that was cut or mistyped: the one of ${client}`);
      }
      return { client, scope: scope as SettingToken["scope"], digest: digestOf(token) };
    });
}

const settingShape = /^([A-Za-z0-9._-]{1,64}):(read|write|admin):([\x21-\x2b\x2d-\x7e]{32,256})$/;
const settingRule =
  "a name of letters, digits and ._-, then read, write or admin, then 32 visible characters or more";
