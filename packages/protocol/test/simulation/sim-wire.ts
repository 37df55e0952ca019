import type { Agenda } from "./agenda.ts";
import type { Random } from "./random.ts";

interface Direction {
  readonly deliver: (message: Uint8Array) => void;
  readonly onDrain: () => void;
  queuedBytes: number;
  queuedMessages: number;
  lastAt: number;
  /** Messages that still arrive after a cut; undefined while the wire is whole. */
  survivors: number | undefined;
}

export interface WireShape {
  readonly delayMs: number;
  readonly bytesPerMs: number;
  /** What the "socket" takes before the driver has to wait. */
  readonly capacityBytes: number;
}

/**
 * One simulated WebSocket: keeps order, never doubles, and when it is cut loses whole tails, of a different length in
 * each direction. What survives a cut may arrive late, even after the next wire is in use, as `ws` really does.
 */
export class SimWire {
  readonly #agenda: Agenda;
  readonly #shape: WireShape;
  readonly #directions: readonly [Direction, Direction];
  #cut = false;
  #lateMs = 0;

  constructor(
    agenda: Agenda,
    shape: WireShape,
    ends: readonly [
      { deliver(m: Uint8Array): void; onDrain(): void },
      { deliver(m: Uint8Array): void; onDrain(): void },
    ],
  ) {
    this.#agenda = agenda;
    this.#shape = shape;
    const direction = (to: { deliver(m: Uint8Array): void }, from: { onDrain(): void }): Direction => ({
      deliver: (m) => to.deliver(m),
      onDrain: () => from.onDrain(),
      queuedBytes: 0,
      queuedMessages: 0,
      lastAt: 0,
      survivors: undefined,
    });
    this.#directions = [direction(ends[1], ends[0]), direction(ends[0], ends[1])];
  }

  get isCut(): boolean {
    return this.#cut;
  }

  get isIdle(): boolean {
    return this.#directions.every((d) => d.queuedMessages === 0);
  }

  hasRoom(from: 0 | 1): boolean {
    return this.#directions[from].queuedBytes < this.#shape.capacityBytes;
  }

  send(from: 0 | 1, message: Uint8Array): void {
    const d = this.#directions[from];
    if (this.#cut) return;
    const start = Math.max(this.#agenda.now, d.lastAt);
    d.lastAt = start + message.length / this.#shape.bytesPerMs;
    d.queuedBytes += message.length;
    d.queuedMessages += 1;
    this.#agenda.at(d.lastAt + this.#shape.delayMs, () => {
      d.queuedBytes -= message.length;
      d.queuedMessages -= 1;
      if (d.survivors !== undefined) {
        if (d.survivors === 0) return;
        d.survivors -= 1;
        // Late: the next wire may be in use by then.
        this.#agenda.in(this.#lateMs, () => d.deliver(message));
        return;
      }
      d.deliver(message);
      if (!this.#cut) d.onDrain();
    });
  }

  /** Loses a random tail of each direction; nothing that is sent from now on arrives. */
  cut(random: Random): void {
    if (this.#cut) return;
    this.#cut = true;
    this.#lateMs = random.pick([0, 0, 10, 100]);
    for (const d of this.#directions) d.survivors = random.chance(0.4) ? 0 : random.int(0, d.queuedMessages);
  }
}
