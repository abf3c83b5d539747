/** The line between server and database is cut, slow, or dead. */
import type { DatabaseProxy, Strike } from "../stage/proxy.ts";
import { strikes } from "../stage/proxy.ts";
import { either, type Fault, type Stage } from "./fault.ts";

/** A strike that nobody runs into is given up. */
const strikeMsMax = 3_000;

async function strike({ dice }: Stage, proxy: DatabaseProxy, kind: Strike): Promise<void> {
  const late = setTimeout(() => proxy.disarm(), strikeMsMax);
  await proxy.strike(kind, (1 + dice.below(98)) / 100);
  clearTimeout(late);
}

const cuts = strikes.filter((kind) => kind !== "hold-sync");

/** Some in a row, so that pipelined batches and fresh connections are met too. */
const cutFaults: Fault[] = cuts.map((kind) => ({
  name: `cut-${kind}`,
  inject: async (stage) => {
    for (let times = 0; times < 5; times += 1)
      await strike(stage, either(stage, stage.proxies), kind);
  },
  lasts: [0, 50],
}));

export const networkFaults: readonly Fault[] = [
  ...cutFaults,
  {
    name: "cut-any",
    inject: async (stage) => {
      either(stage, stage.proxies).cutAll();
    },
    lasts: [0, 300],
  },
  {
    name: "cut-all-kinds",
    inject: async (stage) => {
      for (let times = 0; times < 8; times += 1) {
        await strike(stage, either(stage, stage.proxies), either(stage, cuts));
      }
    },
    lasts: [0, 50],
  },
  {
    name: "no-route",
    inject: async (stage) => {
      const proxy = either(stage, stage.proxies);
      await proxy.down();
      stage.undo.push(() => proxy.up());
    },
    lasts: [300, 2_000],
  },
  {
    name: "delay",
    inject: async ({ proxies, dice, undo }) => {
      for (const proxy of proxies) proxy.delay(1 + dice.below(150));
      undo.push(async () => {
        for (const proxy of proxies) proxy.delay(0);
      });
    },
    lasts: [300, 2_000],
  },
  {
    name: "half-open",
    slow: true,
    inject: async (stage) => {
      either(stage, stage.proxies).deaden();
    },
    lasts: [0, 500],
    rests: [5_000, 9_000],
  },
  {
    name: "hold-sync",
    slow: true,
    inject: async (stage) => {
      await strike(stage, either(stage, stage.proxies), "hold-sync");
    },
    lasts: [0, 500],
    rests: [5_000, 9_000],
  },
];
