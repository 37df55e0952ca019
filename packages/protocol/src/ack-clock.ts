/** When an ack is due: after so many bytes, so many frames, or so long after the first frame that is not acknowledged. */
export class AckClock {
  readonly #dueBytes: number;
  #bytes = 0;
  #frames = 0;
  #dueAt = Number.POSITIVE_INFINITY;
  #pending = false;

  /** @param peerReplayLimitBytes L of the peer: it must hear from us before its replay buffer is full. */
  constructor(peerReplayLimitBytes: number) {
    this.#dueBytes = Math.max(1, Math.min(ACK_BYTES, Math.floor(peerReplayLimitBytes / 8)));
  }

  /** A sequenced frame of that cost was processed. */
  processed(cost: number, now: number): void {
    this.#pending = true;
    this.#bytes += cost;
    this.#frames += 1;
    if (this.#bytes >= this.#dueBytes || this.#frames >= ACK_FRAMES) this.#dueAt = now;
    else if (this.#dueAt === Number.POSITIVE_INFINITY) this.#dueAt = now + ACK_DELAY_MS;
  }

  isDue(now: number): boolean {
    return this.#pending && now >= this.#dueAt;
  }

  get dueAt(): number {
    return this.#dueAt;
  }

  /** An ack for everything left, or the handshake of a resume said the same. */
  sent(): void {
    this.#pending = false;
    this.#bytes = 0;
    this.#frames = 0;
    this.#dueAt = Number.POSITIVE_INFINITY;
  }
}

const ACK_BYTES = 64 * 1024;
const ACK_FRAMES = 128;
const ACK_DELAY_MS = 25;
