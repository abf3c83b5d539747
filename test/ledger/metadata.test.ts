/** Metadata is measured with its numbers as PostgreSQL writes them. */
import { expect, test } from "vitest";
import { metadata, metadataBytesMax } from "../../src/ledger/fields.ts";
import { createTestDatabase, psql } from "../support/database/database.ts";
import { createRandom } from "../support/random.ts";

const odd = [
  ...[0, -0, 1, -1, 0.1, 1e21, 1e-6, 1e-7, -1e-7, 1.5e-7, 1e20, 123456789012345680000],
  ...[5e-324, -5e-324, 1.7976931348623157e308, -1.7976931348623157e308, 2.2250738585072014e-308],
  ...[1.234567890123457e21, 1.23456789012345e-7, Number.MAX_SAFE_INTEGER, 1e22, 9.5e21],
];

test("a number counts as it is kept, to the byte", async () => {
  const url = await createTestDatabase();
  const random = createRandom(20_261_127);
  const some = Array.from({ length: 300 }, () => {
    const power = random.below(616) - 308;
    return (random.below(2 ** 31) - 2 ** 30) * 10 ** (power - 9);
  });
  const numbers = [...odd, ...some];
  const kept = await psql<{ length: number }>(
    url,
    "SELECT length(n::jsonb::text) AS length FROM unnest($1::text[]) WITH ORDINALITY AS t (n, at) ORDER BY at",
    [numbers.map((n) => JSON.stringify(n))],
  );
  expect(kept).toHaveLength(numbers.length);
  numbers.forEach((n, at) => {
    const room = metadataBytesMax - '{"n":,"x":""}'.length - (kept[at]?.length ?? 0);
    const fits = (x: number) => metadata.safeParse({ n, x: "x".repeat(x) }).success;
    expect([n, fits(room), fits(room + 1)]).toEqual([n, true, false]);
  });
});
