import {
  type CulvertError,
  type ErrorCode,
  type IncomingStream,
  Session,
  type SessionEvent,
  type SessionLimits,
  type SessionOptions,
} from "../../src/index.ts";
import type { Agenda } from "./agenda.ts";
import type { Random } from "./random.ts";
import type { SimMemory } from "./sim-memory.ts";
import type { SimWire } from "./sim-wire.ts";

const DATA = 0x04;
const END = 0x05;

/** One end of the simulated session: what a driver does, with the agenda as its event loop. */
export class SimEnd {
  readonly side: 0 | 1;
  readonly session: Session;
  readonly options: SessionOptions;
  /** Some ends share a pool with others. */
  readonly memory: SimMemory | undefined;
  readonly #agenda: Agenda;
  #wire: SimWire | undefined;
  #wireNumber = 0;
  #timerAt = Number.POSITIVE_INFINITY;
  #pumpPlanned = false;
  #replayedFrames = 0;
  endedWith: CulvertError | undefined;
  framesSent = 0;
  sawFullReplay = false;
  onStream: (incoming: IncomingStream) => void = () => {};
  onTunnelEvent: (event: SessionEvent) => void = () => {};
  onTransportFailed: (code: ErrorCode) => void = () => {};
  onEnded: (farewellSent: boolean) => void = () => {};
  /** Nothing more may leave although the wire has room. */
  onIdle: () => void = () => {};

  constructor(
    agenda: Agenda,
    side: 0 | 1,
    options: SessionOptions,
    peerLimits: SessionLimits,
    random: Random,
    memory?: SimMemory,
  ) {
    this.#agenda = agenda;
    this.memory = memory;
    this.side = side;
    this.options = options;
    this.session = new Session(
      {
        role: side === 0 ? "client" : "server",
        options,
        peerLimits,
        random: random.next,
        ...(memory === undefined ? {} : { memory: memory.session }),
        onOutput: () => this.#planPump(),
      },
      agenda.now,
    );
    this.arm();
  }

  get wire(): SimWire | undefined {
    return this.#wire;
  }

  attach(wire: SimWire, number: number, peerReceived: number): void {
    this.session.attach(number, peerReceived, this.#agenda.now);
    this.#wire = wire;
    this.#wireNumber = number;
    this.afterInput();
    this.#planPump();
  }

  detach(): void {
    this.session.detach(this.#agenda.now);
    this.#wire = undefined;
    this.arm();
  }

  /** A message of wire `number`; the session itself must drop it when that is an old one. */
  receive(number: number, message: Uint8Array): void {
    // ws may hand over a message in a buffer that is larger: the session must cope with views.
    let view = message;
    if (this.framesSent % 4 === 0) {
      const shared = new Uint8Array(message.length + 3);
      shared.set(message, 2);
      view = shared.subarray(2, 2 + message.length);
    }
    this.session.receive(number, view, this.#agenda.now);
    this.afterInput();
  }

  pump(): void {
    const wire = this.#wire;
    if (wire === undefined || this.session.state !== "attached") {
      const frame = this.session.nextFrame(this.#agenda.now);
      if (frame !== undefined) throw new Error("a frame was numbered while detached");
    } else {
      while (wire.hasRoom(this.side)) {
        const frame = this.session.nextFrame(this.#agenda.now);
        if (frame === undefined) {
          this.onIdle();
          break;
        }
        this.framesSent += 1;
        wire.send(this.side, frame);
        const { replayBytes, replayedFrames } = this.session.counters;
        const isNew = replayedFrames === this.#replayedFrames;
        this.#replayedFrames = replayedFrames;
        const { replayLimitBytes, replayReserveBytes } = this.options;
        if (replayBytes > replayLimitBytes + replayReserveBytes)
          throw new Error("the replay buffer grew past its limit");
        const isData = frame[0] === DATA || frame[0] === END;
        if (isNew && isData && replayBytes > replayLimitBytes) throw new Error("data took the reserve");
        if (replayBytes > replayLimitBytes * 0.8) this.sawFullReplay = true;
      }
    }
    this.afterInput();
  }

  afterInput(): void {
    this.memory?.check();
    for (const event of this.session.takeEvents()) this.#dispatch(event);
    this.arm();
  }

  arm(): void {
    const at = this.session.nextDeadline;
    if (at >= this.#timerAt) return;
    this.#timerAt = at;
    this.#agenda.at(at, () => {
      if (this.#timerAt !== at) return;
      this.#timerAt = Number.POSITIVE_INFINITY;
      this.session.handleDeadline(this.#agenda.now);
      this.afterInput();
    });
  }

  get wireNumber(): number {
    return this.#wireNumber;
  }

  #planPump(): void {
    if (this.#pumpPlanned) return;
    this.#pumpPlanned = true;
    this.#agenda.in(0, () => {
      this.#pumpPlanned = false;
      this.pump();
    });
  }

  #dispatch(event: SessionEvent): void {
    switch (event.type) {
      case "stream":
        this.onStream(event.incoming);
        return;
      case "transportFailed":
        this.#wire = undefined;
        this.onTransportFailed(event.code);
        return;
      case "ended": {
        this.endedWith = event.error;
        const wire = this.#wire;
        this.#wire = undefined;
        if (event.farewell !== undefined) wire?.send(this.side, event.farewell);
        this.onEnded(event.farewell !== undefined);
        return;
      }
      default:
        this.onTunnelEvent(event);
    }
  }
}
