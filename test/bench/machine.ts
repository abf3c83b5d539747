/** Where the numbers come from: a figure without its machine and versions says nothing. */
import { statfs } from "node:fs/promises";
import { arch, cpus, loadavg, release, totalmem, type } from "node:os";

export interface Machine {
  readonly cores: number;
  /** A line each. */
  readonly lines: readonly string[];
}

/** @param folder the one that holds the data of an embedded PostgreSQL */
export async function describeMachine(folder: string): Promise<Machine> {
  const cores = cpus();
  const memory = (totalmem() / 2 ** 30).toFixed(0);
  const lines = [
    `${cores.length} cores (${cores[0]?.model.trim() ?? "unknown"}), ${memory} GiB of memory, ` +
      `${type()} ${release()} ${arch()}`,
    `Node.js ${process.versions.node}`,
  ];
  const load = loadavg()[0] ?? 0;
  if (load > 0.5) lines.push(`the machine was not idle: load ${load.toFixed(1)} at the start`);
  if (await isInMemory(folder)) lines.push("temporary files are in memory: fsync costs nothing");
  return { cores: cores.length, lines };
}

/** tmpfs, whose number is 0x01021994 in Linux. */
async function isInMemory(folder: string): Promise<boolean> {
  return process.platform === "linux" && (await statfs(folder)).type === 0x01021994;
}
