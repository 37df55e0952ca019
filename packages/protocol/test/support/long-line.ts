import { Session } from "../../src/session.ts";
import { resolveSessionOptions, type SessionOptions } from "../../src/session-options.ts";
import type { Stream } from "../../src/stream.ts";
import { Agenda } from "../simulation/agenda.ts";

export interface LineOptions {
  /** Bytes a ms that each direction takes. */
  readonly rate: number;
  /** One way, without what waits. */
  readonly delayMs: number;
  /** What each end takes until it looks at what came and at what it may send. */
  readonly turnMs?: number;
  readonly session?: Partial<SessionOptions>;
}

interface End {
  readonly session: Session;
  /** When the line towards the other end has taken everything that was sent. */
  freeAt: number;
  isFlushPlanned: boolean;
  timerAt: number;
}

const CHUNK = new Uint8Array(64 * 1024);

/** Two sessions, a line of a certain length and rate between them, and a fake clock. */
export class LongLine {
  readonly #agenda = new Agenda();
  readonly #options: LineOptions;
  readonly #ends: readonly [End, End];
  readonly received: number[] = [];

  constructor(options: LineOptions) {
    this.#options = options;
    const session = resolveSessionOptions(options.session);
    this.#ends = [this.#end("client", session), this.#end("server", session)];
    for (const end of this.#ends) end.session.attach(1, 0, 0);
    for (const end of this.#ends) this.#flushSoon(end);
  }

  get now(): number {
    return this.#agenda.now;
  }

  /** The client's end, which sends. */
  get sender(): Session {
    return this.#ends[0].session;
  }

  get receiver(): Session {
    return this.#ends[1].session;
  }

  /** Opens a stream from the client whose source never ends, and whose reader takes everything at once; its number. */
  bulk(): number {
    const number = this.received.push(0) - 1;
    let stream: Stream | undefined;
    const fill = (): void => {
      while (stream?.write(CHUNK) === true);
    };
    stream = this.sender.open(
      { kind: "tcp" },
      { onData: () => undefined, onEnd: () => undefined, onReset: () => undefined, onWritable: fill },
      this.now,
    );
    fill();
    this.#waiting.push(number);
    this.#flushSoon(this.#ends[0]);
    return number;
  }

  readonly #waiting: number[] = [];

  run(ms: number): void {
    const until = this.now + ms;
    while (this.#agenda.step(until));
    // Nothing more happens before that time.
    this.#agenda.at(until, () => undefined);
    this.#agenda.step(until);
  }

  #end(role: "client" | "server", options: SessionOptions): End {
    const end: End = {
      session: new Session(
        { role, options, peerLimits: options, random: () => 0.5, onOutput: () => this.#flushSoon(end) },
        0,
      ),
      freeAt: 0,
      isFlushPlanned: false,
      timerAt: Number.POSITIVE_INFINITY,
    };
    return end;
  }

  #flushSoon(end: End): void {
    if (end.isFlushPlanned) return;
    end.isFlushPlanned = true;
    this.#agenda.in(this.#options.turnMs ?? 0.1, () => {
      end.isFlushPlanned = false;
      const { rate, delayMs } = this.#options;
      for (;;) {
        const message = end.session.nextFrame(this.now);
        if (message === undefined) break;
        end.freeAt = Math.max(end.freeAt, this.now) + message.length / rate;
        this.#agenda.at(end.freeAt + delayMs, () => this.#arrive(this.#other(end), message));
      }
      this.#arm(end);
    });
  }

  #other(end: End): End {
    return end === this.#ends[0] ? this.#ends[1] : this.#ends[0];
  }

  #arrive(end: End, message: Uint8Array): void {
    end.session.receive(1, message, this.now);
    for (const event of end.session.takeEvents()) {
      if (event.type === "ended") throw new Error(`the session ended: ${event.error.code}`);
      if (event.type === "stream") this.#serve(event.incoming.accept.bind(event.incoming));
    }
    this.#flushSoon(end);
  }

  #serve(accept: (handler: Parameters<Session["open"]>[1]) => Stream): void {
    const number = this.#waiting.shift() ?? 0;
    const stream = accept({
      onData: (chunk) => {
        this.received[number] = (this.received[number] ?? 0) + chunk.length;
        stream.consumed(chunk.length);
      },
      onEnd: () => undefined,
      onReset: () => undefined,
    });
  }

  #arm(end: End): void {
    const at = end.session.nextDeadline;
    if (at >= end.timerAt || at === Number.POSITIVE_INFINITY) return;
    end.timerAt = at;
    this.#agenda.at(at, () => {
      if (end.timerAt !== at) return;
      end.timerAt = Number.POSITIVE_INFINITY;
      end.session.handleDeadline(this.now);
      this.#flushSoon(end);
      this.#arm(end);
    });
  }
}
