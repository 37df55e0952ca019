import { countedAddress } from "./counted-address.ts";

/** What waits: a socket, as far as it matters here. */
interface Waiting {
  readonly remoteAddress?: string | undefined;
  destroy(): unknown;
}

export interface RoomLimits {
  readonly most: number;
  /** Of one address, see {@link countedAddress}; counts only when there are `most` in all. */
  readonly mostPerAddress: number;
}

interface Place {
  readonly address: string | undefined;
  /** The crowds that it stands in, and where. */
  readonly ranks: Map<Crowd, number>;
}

/** Who may be dropped for one of them, in no order: so drawing and leaving take no time, however large it is. */
type Crowd = Waiting[];

/**
 * Connections that have something to do first, and are many if nobody does it. There are never more than the limits say:
 * for one more somebody is dropped, by lot and never the newcomer. An honest connection is through in a moment, so the lot
 * falls on silent ones; if the oldest went, as many silent ones as fit would drop everybody in the time of a round trip.
 * Before it is full nobody is dropped: clients that come back together are many, too.
 */
export class WaitingRoom {
  readonly #limits: RoomLimits;
  readonly #random: () => number;
  readonly #places = new Map<Waiting, Place>();
  readonly #all: Crowd = [];
  readonly #byAddress = new Map<string, Crowd>();
  #dropped = 0;

  /** @param random Uniform in [0, 1), for the lots. */
  constructor(limits: RoomLimits, random: () => number = Math.random) {
    this.#limits = limits;
    this.#random = random;
  }

  get size(): number {
    return this.#all.length;
  }

  /** How many were dropped to make room. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Enters a connection; entering twice changes nothing. */
  enter(connection: Waiting): void {
    if (this.#places.has(connection)) return;
    const address = countedAddress(connection.remoteAddress);
    const sameAddress = this.#ofAddress(address);
    this.#makeRoom(sameAddress);
    const place: Place = { address, ranks: new Map() };
    this.#places.set(connection, place);
    for (const crowd of [this.#all, sameAddress]) {
      if (crowd !== undefined) place.ranks.set(crowd, crowd.push(connection) - 1);
    }
    if (address !== undefined && sameAddress !== undefined) this.#byAddress.set(address, sameAddress);
  }

  /** Drops all of them. */
  clear(): void {
    const all = [...this.#all];
    for (const connection of all) this.leave(connection);
    for (const connection of all) connection.destroy();
  }

  /** It is through, or gone. */
  leave(connection: Waiting): void {
    const place = this.#places.get(connection);
    if (place === undefined) return;
    this.#places.delete(connection);
    for (const [crowd, rank] of place.ranks) {
      const last = crowd.pop() as Waiting;
      if (last === connection) continue;
      crowd[rank] = last;
      this.#places.get(last)?.ranks.set(crowd, rank);
    }
    const { address } = place;
    if (address !== undefined && this.#byAddress.get(address)?.length === 0) this.#byAddress.delete(address);
  }

  #ofAddress(address: string | undefined): Crowd | undefined {
    return address === undefined ? undefined : (this.#byAddress.get(address) ?? []);
  }

  /** One more is about to enter. An address that has many pays for itself. */
  #makeRoom(sameAddress: Crowd | undefined): void {
    const { most, mostPerAddress } = this.#limits;
    if (this.size < most) return;
    const isCrowded = sameAddress !== undefined && sameAddress.length >= mostPerAddress;
    this.#dropOneOf(isCrowded ? sameAddress : this.#all);
  }

  #dropOneOf(crowd: Crowd): void {
    const one = crowd[Math.floor(this.#random() * crowd.length)];
    if (one === undefined) return;
    this.leave(one);
    this.#dropped += 1;
    one.destroy();
  }
}
