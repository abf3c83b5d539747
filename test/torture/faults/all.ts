/** Every fault there is, in the order in which they run. */
import type { Fault } from "./fault.ts";
import { networkFaults } from "./network.ts";
import { serverFaults } from "./servers.ts";

export const faults: readonly Fault[] = [...serverFaults, ...networkFaults];
