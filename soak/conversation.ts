import { connect, type Socket } from "node:net";
import type { Random } from "@culvert/chaos";
import type { Play } from "./script.ts";
import { Talker } from "./talker.ts";
import { Tape } from "./tape.ts";
import type { Carrier, Mode } from "./tunnel-client.ts";

/** "CVSK", the number of the connection, and that number turned over. */
export const HEADER_BYTES = 12;
const MAGIC = 0x4356_534b;

/** Returns the number in a header, or undefined if the bytes are something else. */
export function numberIn(header: Buffer): number | undefined {
  const id = header.readUInt32BE(4);
  return header.readUInt32BE(0) === MAGIC && header.readUInt32BE(8) === ~id >>> 0 ? id : undefined;
}

function headerOf(id: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(MAGIC, 0);
  header.writeUInt32BE(id, 4);
  header.writeUInt32BE(~id >>> 0, 8);
  return header;
}

export interface ConversationOptions {
  readonly id: number;
  readonly play: Play;
  readonly client: Carrier;
  readonly mode: Mode;
  readonly port: number;
  readonly random: Random;
  readonly tape: Tape;
}

/** One connection through the tunnel, with both its ends: the visitor, and what the visitor's target does. */
export class Conversation {
  readonly id: number;
  readonly play: Play;
  readonly client: Carrier;
  readonly mode: Mode;
  readonly startedAt: number = performance.now();
  readonly visitor: Talker;
  /** The visitor's port, by which the log of the listening side names it. */
  visitorPort: number | undefined;
  /** As soon as the header arrived there. */
  host: Talker | undefined;
  /** Resolves when both ends are over. */
  readonly over: Promise<void>;
  overAt = 0;
  /** The calm that its client had had when it began, and when it was over. */
  readonly startCalmMs: number;
  overCalmMs = 0;
  /** It was told as a failure, once. */
  isFailed = false;
  /** The target was reached after all was over, and is over as well. */
  onLateHost: () => void = () => undefined;
  /** The last time that anything went on, and the calm that its client had had by then. */
  progressAt: number = performance.now();
  progressCalmMs: number;
  /** The longest time without anything, although somebody waited for it. */
  longestStallMs = 0;
  readonly #options: ConversationOptions;
  #resolveOver: () => void = () => undefined;
  #isHurried = false;

  constructor(options: ConversationOptions) {
    const { id, play, client, mode, port, tape, random } = options;
    this.#options = options;
    this.id = id;
    this.play = play;
    this.client = client;
    this.mode = mode;
    this.startCalmMs = client.troubles.calmMs;
    this.progressCalmMs = this.startCalmMs;
    this.over = new Promise((resolve) => {
      this.#resolveOver = resolve;
    });
    const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true });
    this.visitor = new Talker({
      socket,
      script: play.visitor,
      random: random.derive(1),
      tape,
      says: Tape.placeOf(id, "up"),
      hears: Tape.placeOf(id, "down"),
      header: headerOf(id),
      onProgress: () => this.#progress(),
      onOver: () => this.#endOver(),
    });
    socket.once("connect", () => {
      this.visitorPort = socket.localPort;
      this.visitor.start();
    });
  }

  /** The header arrived at the target: `socket` is the other end. @param rest What came behind the header. */
  join(socket: Socket, rest: Buffer): void {
    const { id, play, tape, random } = this.#options;
    this.host = new Talker({
      socket,
      script: play.host,
      random: random.derive(2),
      tape,
      says: Tape.placeOf(id, "down"),
      hears: Tape.placeOf(id, "up"),
      onProgress: () => this.#progress(),
      onOver: () => this.#endOver(),
    });
    this.#progress();
    if (rest.length > 0) this.host.hear(rest);
    this.host.start();
    if (this.#isHurried) this.host.hurry();
  }

  /** Bytes that arrived, both ways. */
  get bytes(): number {
    return this.visitor.heard + (this.host?.heard ?? 0);
  }

  get restsUntil(): number {
    return Math.max(this.visitor.restsUntil, this.host?.restsUntil ?? 0);
  }

  hurry(): void {
    this.#isHurried = true;
    this.visitor.hurry();
    this.host?.hurry();
  }

  /** Gives it up: whoever did not end by now never will. */
  destroy(): void {
    this.visitor.socket.destroy();
    this.host?.socket.destroy();
  }

  #progress(): void {
    const now = performance.now();
    const since = Math.max(this.progressAt, Math.min(now, this.restsUntil));
    this.longestStallMs = Math.max(this.longestStallMs, now - since);
    this.progressAt = now;
    this.progressCalmMs = this.client.troubles.calmMs;
  }

  #endOver(): void {
    this.#progress();
    if (!this.visitor.isOver || this.host?.isOver === false) return;
    if (this.overAt > 0) {
      this.onLateHost();
      return;
    }
    this.overAt = performance.now();
    this.overCalmMs = this.client.troubles.calmMs;
    this.#resolveOver();
  }
}
