/** Who can reach a server, by the address that it listens on. */
import { lookup } from "node:dns/promises";
import { BlockList, isIPv6 } from "node:net";
import { BalancectlError } from "../errors.ts";

/**
 * What a host name leads to, as listening on it would find it.
 * @throws BalancectlError SERVER_FAILED when that is nothing
 */
export async function addressOf(host: string): Promise<string> {
  try {
    return (await lookup(host)).address;
  } catch (error) {
    const message = `${host} is not a host that can be found; choose another with --host or HOST`;
    throw new BalancectlError("SERVER_FAILED", message, { cause: error });
  }
}

/** Whether only this machine reaches it. */
export function isLoopback(address: string): boolean {
  return loopback.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");
loopback.addSubnet("::ffff:127.0.0.0", 104, "ipv6");

/**
 * Beyond this machine nobody is let in who shows no token.
 * @throws BalancectlError SERVER_FAILED that says the two ways on
 */
export function refuseOpenDoor(address: string): void {
  if (isLoopback(address)) return;
  throw new BalancectlError(
    "SERVER_FAILED",
    `${address} can be reached from other machines, and nobody would be asked who they are. Make a token ` +
      "(balancectl token create --name NAME --scope write), or say that everybody may change every balance " +
      "(--allow-anonymous)",
  );
}
