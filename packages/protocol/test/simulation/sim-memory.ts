import { MemoryPool, type SessionMemory, type SessionOptions } from "../../src/index.ts";
import type { Agenda } from "./agenda.ts";
import { Random } from "./random.ts";

const FRAME_COST = 160;
const LONGEST_CONTROL = 2_048;

/** The pool of one process of the simulation: a session's, and another one's that takes and gives back at any time. */
export class SimMemory {
  readonly session: SessionMemory;
  readonly #pool: MemoryPool;
  readonly #limit: number;
  readonly #random: Random;
  readonly #agenda: Agenda;
  /** What the other one has taken. */
  #taken = 0;
  #isQuiet = false;

  constructor(agenda: Agenda, options: SessionOptions, seed: number) {
    this.#agenda = agenda;
    this.#random = new Random(seed);
    const payload = Math.max(1, Math.min(options.maxPayloadBytes, Math.floor(options.replayLimitBytes / 4)));
    // The least with which a session must get on: room for one frame of data and a few of control.
    const owned = {
      replayBytes: LONGEST_CONTROL + payload + 15 + FRAME_COST,
      receiveBytes: options.initialWindowBytes,
      keptForControlBytes: LONGEST_CONTROL,
    };
    // Half of it is for promises, and what is owned counts there: an initial window of one byte takes for ever.
    this.#limit = 2 * (owned.replayBytes + owned.receiveBytes) + this.#random.pick([4_000, 8_000, 50_000]);
    this.#pool = new MemoryPool(this.#limit, { owned });
    const session = this.#pool.admit();
    if (session === undefined) throw new Error("the pool admits nobody");
    this.session = session;
    this.#disturb();
  }

  /** The other one gives everything back, for good. */
  quiet(): void {
    this.#isQuiet = true;
    this.#pool.change(-this.#taken);
    this.#taken = 0;
  }

  /** @throws Error when more was taken than there is. */
  check(): void {
    if (this.#pool.used > this.#limit)
      throw new Error(`${this.#pool.used} bytes of a pool of ${this.#limit} are taken`);
  }

  /** @throws Error unless everything beyond what the session owns is back. */
  checkReturned(): void {
    const { replayBytes, receiveBytes } = this.#pool.owned;
    const owned = this.session.isClosed ? 0 : replayBytes + receiveBytes;
    if (this.#pool.used !== owned)
      throw new Error(`${this.#pool.used} bytes are taken in the end, not ${owned}`);
  }

  #disturb(): void {
    this.#agenda.in(this.#random.pick([5, 50, 400]), () => {
      if (this.#isQuiet) return;
      const wanted = Math.floor((this.#taken + this.#pool.free) * this.#random.pick([0, 0.3, 0.8, 1]));
      this.#pool.change(wanted - this.#taken);
      this.#taken = wanted;
      this.#disturb();
    });
  }
}
