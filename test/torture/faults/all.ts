/** Every fault there is, in the order in which they run. */
import type { Fault } from "./fault.ts";
import { lockFaults } from "./locks.ts";
import { machineFaults } from "./machine.ts";
import { networkFaults } from "./network.ts";
import { pooledFaults } from "./pooled.ts";
import { postgresFaults } from "./postgres.ts";
import { serverFaults } from "./servers.ts";
import { settingFaults } from "./settings.ts";

export const faults: readonly Fault[] = [
  ...serverFaults,
  ...networkFaults,
  ...postgresFaults,
  ...settingFaults,
  ...lockFaults,
  ...machineFaults,
  ...pooledFaults,
];
