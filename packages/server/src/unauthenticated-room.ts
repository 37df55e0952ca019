import { canonicalIpv6, ipv6Groups } from "@culvert/protocol";
import { isLoopbackHost } from "./token.ts";

/** What waits: a socket, as far as it matters here. */
interface Waiting {
  readonly remoteAddress?: string | undefined;
  destroy(): unknown;
}

export interface RoomLimits {
  readonly most: number;
  /** Of one address; an IPv6 one counts by its /64, which is what one host usually has. Loopback is not counted. */
  readonly mostPerAddress: number;
}

/**
 * The connections that have not finished their handshake. There are never more than the limits say: one more, and the one
 * that has waited longest is dropped, of those from the same address if that is the limit. So silent connections cannot lock
 * out a client, which needs a round trip only, and one address cannot drop those of others.
 */
export class UnauthenticatedRoom {
  readonly #limits: RoomLimits;
  /** In the order of arrival, as a Map iterates; with the address that each counts for. */
  readonly #waiting = new Map<Waiting, string | undefined>();
  readonly #byAddress = new Map<string, Set<Waiting>>();
  #dropped = 0;

  constructor(limits: RoomLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** How many were dropped to make room. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Enters a connection; entering twice keeps its first place. */
  enter(connection: Waiting): void {
    if (this.#waiting.has(connection)) return;
    const address = countedAddress(connection.remoteAddress);
    this.#waiting.set(connection, address);
    const sameAddress = this.#ofAddress(address);
    sameAddress?.add(connection);
    if (sameAddress !== undefined && sameAddress.size > this.#limits.mostPerAddress) this.#drop(sameAddress);
    if (this.#waiting.size > this.#limits.most) this.#drop(this.#waiting.keys());
  }

  /** Drops all of them. */
  clear(): void {
    const all = [...this.#waiting.keys()];
    for (const connection of all) this.leave(connection);
    for (const connection of all) connection.destroy();
  }

  /** It is through, or gone. */
  leave(connection: Waiting): void {
    const address = this.#waiting.get(connection);
    this.#waiting.delete(connection);
    if (address === undefined) return;
    const sameAddress = this.#byAddress.get(address);
    sameAddress?.delete(connection);
    if (sameAddress?.size === 0) this.#byAddress.delete(address);
  }

  #ofAddress(address: string | undefined): Set<Waiting> | undefined {
    if (address === undefined) return undefined;
    const known = this.#byAddress.get(address);
    if (known !== undefined) return known;
    const fresh = new Set<Waiting>();
    this.#byAddress.set(address, fresh);
    return fresh;
  }

  #drop(from: Iterable<Waiting>): void {
    const [oldest] = from;
    if (oldest === undefined) return;
    this.leave(oldest);
    this.#dropped += 1;
    oldest.destroy();
  }
}

/** Behind a reverse proxy on the same machine everybody comes from loopback: counting there would count strangers together. */
function countedAddress(address: string | undefined): string | undefined {
  if (address === undefined || isLoopbackHost(address)) return undefined;
  const host = address.includes(":") ? canonicalIpv6(address.replace(/%.*$/, "")) : address;
  const network = ipv6Groups(host)?.slice(0, 4);
  return network?.map((group) => group.toString(16)).join(":") ?? host;
}
