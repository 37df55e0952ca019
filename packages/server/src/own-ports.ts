import { isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import { canonicalIpv6 } from "@culvert/protocol";
import { isLoopbackHost } from "./arrival-path.ts";
import type { MountableServer } from "./mount-table.ts";

const UNSPECIFIED: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

/**
 * The addresses on which the server itself is reached, by HTTP servers of its own and of others. A tunnel that leads there leads in
 * a circle, and comes from loopback where everything may be allowed.
 */
export class OwnPorts {
  readonly #servers = new Set<MountableServer>();

  /** Servers that are asked for their addresses. */
  get size(): number {
    return this.#servers.size;
  }

  /** Its address is asked for each time: it may begin to listen later. Returns what takes it off. */
  add(server: MountableServer): () => void {
    this.#servers.add(server);
    return () => void this.#servers.delete(server);
  }

  /** Would a connection to `address` reach one of them, or a listener there stand in their way? */
  has(address: string, port: number): boolean {
    for (const server of this.#servers) {
      const bound = server.address();
      if (bound === null || typeof bound === "string" || bound.port !== port) continue;
      if (reaches(canonical(address), canonical(bound.address))) return true;
    }
    return false;
  }
}

/** Connecting to the unspecified address is connecting to loopback, and listening there is listening everywhere. */
function reaches(address: string, bound: string): boolean {
  if (address === bound || UNSPECIFIED.has(address)) return true;
  return UNSPECIFIED.has(bound) && (isLoopbackHost(address) || isOfThisMachine(address));
}

function isOfThisMachine(address: string): boolean {
  return Object.values(networkInterfaces()).some((all) =>
    all?.some((one) => canonical(one.address) === address),
  );
}

function canonical(address: string): string {
  const bare = address.replace(/%.*$/, "");
  return isIPv6(bare) ? canonicalIpv6(bare) : bare;
}
