import { CulvertError } from "@culvert/protocol";

/** Whose listener it is: the same identity and client name may have its address back at any time. */
export interface Holder {
  readonly owner: string;
  readonly name: string;
}

interface Held {
  readonly holder: Holder;
  /** IP address, or the path of a Unix socket. */
  readonly address: string;
  /** Its listener is closed, and nobody but its holder may listen there for a while. */
  isReserved: boolean;
}

/** A place in the table, of one listener. */
export interface ListenerClaim {
  /** The port that was free, where 0 was asked for. */
  bound(port: number): void;
  /**
   * The listener is closed. For `keepMs` nobody but the holder gets the address, so that a client whose session was displaced or
   * lost finds it again, however many others wait for it. At most `most` are kept for an identity, and the oldest goes first: who
   * displaces itself over and over may hold no more that way than it may listen on.
   */
  release(keepMs?: number, most?: number): void;
}

/** The port of a Unix socket, which has none. */
const UNIX = -1;

/**
 * Who holds which address and port, of all listeners that clients asked for. The kernel knows as well that an address is
 * taken, but neither by whom, nor what is being opened or closed, nor that its holder is away for a moment.
 */
export class ListenerTable {
  readonly #byPort = new Map<number, Set<Held>>();
  /** What is reserved and at which port, by identity; the oldest first. */
  readonly #kept = new Map<string, Map<Held, number>>();

  /**
   * Takes an address before it is bound. Port 0 stands for none until `bound`.
   * @throws CulvertError `listener_held` when another holder has it, or one that overlaps; `address_in_use` when the same one
   * listens there already.
   */
  claim(holder: Holder, address: string, port: number): ListenerClaim {
    const held: Held = { holder, address, isReserved: false };
    if (port !== 0) this.#take(held, port);
    let at = port;
    return {
      bound: (real) => {
        if (at === 0) this.#enter(held, real);
        at = real;
      },
      release: (keepMs = 0, most = Number.POSITIVE_INFINITY) => {
        if (keepMs > 0) this.#reserve(held, at, keepMs, most);
        else this.#leave(held, at);
      },
    };
  }

  /** Takes the file of a Unix socket. @throws CulvertError as {@link claim}. */
  claimPath(holder: Holder, path: string): ListenerClaim {
    return this.claim(holder, path, UNIX);
  }

  #take(held: Held, port: number): void {
    for (const other of this.#byPort.get(port) ?? []) {
      if (!overlap(other.address, held.address)) continue;
      const { owner, name } = other.holder;
      if (owner !== held.holder.owner || name !== held.holder.name)
        throw new CulvertError("listener_held", `by ${JSON.stringify(name)}`);
      if (!other.isReserved) throw new CulvertError("address_in_use", "by this client");
      this.#leave(other, port);
    }
    this.#enter(held, port);
  }

  #enter(held: Held, port: number): void {
    const there = this.#byPort.get(port) ?? new Set();
    this.#byPort.set(port, there.add(held));
  }

  #leave(held: Held, port: number): void {
    const there = this.#byPort.get(port);
    if (there?.delete(held) && there.size === 0) this.#byPort.delete(port);
    const { owner } = held.holder;
    const kept = this.#kept.get(owner);
    if (kept?.delete(held) && kept.size === 0) this.#kept.delete(owner);
  }

  #reserve(held: Held, port: number, keepMs: number, most: number): void {
    held.isReserved = true;
    const { owner } = held.holder;
    const kept = this.#kept.get(owner) ?? new Map<Held, number>();
    this.#kept.set(owner, kept.set(held, port));
    for (const [oldest, at] of kept) if (kept.size > most) this.#leave(oldest, at);
    setTimeout(() => this.#leave(held, port), keepMs).unref();
  }
}

/** Would the kernel, or a visitor, take the one for the other? A wildcard is every address; `::` is those of IPv4, too. */
function overlap(a: string, b: string): boolean {
  return a === b || isWildcard(a, b) || isWildcard(b, a);
}

function isWildcard(wildcard: string, other: string): boolean {
  return wildcard === "::" || (wildcard === "0.0.0.0" && !other.includes(":"));
}
