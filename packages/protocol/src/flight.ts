import { FlightFloor } from "./flight-floor.ts";
import { WindowedMinimum } from "./windowed-minimum.ts";

/**
 * How much may be on its way. What is handed to a transport and not yet acknowledged stays under
 * clamp(2 x ack rate x minimum round trip, floor, replay limit), twice that while the rate rises: more would only wait in kernels and middleboxes, where
 * one bulk stream would delay all others; less would leave a long path idle.
 */
export class Flight {
  readonly #floor = new FlightFloor();
  readonly #ceilingBytes: number;
  #inFlight = 0;
  #limit: number;
  /** The last round trips of this transport, ms. The smallest counts, and a path that became longer is believed in time. */
  readonly #rttsMs: number[] = [];
  /** What acknowledgements took of late: on a short path the few pings tell of busy event loops, for minutes. */
  readonly #ackMs = new WindowedMinimum(ACK_WINDOW_MS);
  #sampleStart = 0;
  #sampleBytes = 0;
  #lastAckAt = 0;
  /** The last rates, bytes per ms; the largest counts, so that a pause of the source does not shrink the flight. */
  readonly #rates: number[] = [];
  /** While the rate rises, the flight, not the path, may have been the limit. */
  #gain = GAIN;

  constructor(ceilingBytes: number) {
    this.#ceilingBytes = ceilingBytes;
    this.#limit = Math.min(this.#floor.bytes, ceilingBytes);
  }

  get bytes(): number {
    return this.#inFlight;
  }

  get limit(): number {
    return this.#limit;
  }

  get hasRoom(): boolean {
    return this.#inFlight < this.#limit;
  }

  get minRttMs(): number | undefined {
    return this.#rttsMs.length === 0 ? undefined : Math.min(...this.#rttsMs);
  }

  get lastRttMs(): number | undefined {
    return this.#rttsMs.at(-1);
  }

  /** A new transport: nothing is under way, and the old path says nothing about the new one. */
  restart(now: number): void {
    this.#inFlight = 0;
    this.#floor.restart();
    this.#rttsMs.length = 0;
    this.#ackMs.clear();
    this.#rates.length = 0;
    this.#gain = GAIN;
    this.#resize();
    this.#sampleStart = now;
    this.#sampleBytes = 0;
  }

  sent(bytes: number, now: number): void {
    // A source that pauses says nothing about the path. Short gaps belong to the sample: on a fast path each ack may
    // empty the flight.
    if (this.#inFlight === 0 && now - this.#lastAckAt > MIN_SAMPLE_MS) {
      this.#sampleStart = now;
      this.#sampleBytes = 0;
    }
    this.#inFlight += bytes;
    this.#floor.sent(bytes, this.#inFlight, now);
  }

  acked(bytes: number, now: number): void {
    this.#inFlight -= bytes;
    this.#sampleBytes += bytes;
    this.#lastAckAt = now;
    const ackMs = this.#floor.acked(bytes, this.minRttMs ?? 0, now);
    if (ackMs !== undefined) this.#ackMs.add(ackMs, now);
    const elapsed = now - this.#sampleStart;
    if (elapsed >= Math.max(this.#pathMs(), MIN_SAMPLE_MS)) {
      const rate = this.#sampleBytes / elapsed;
      this.#gain = headroom(rate, Math.max(0, ...this.#rates));
      this.#rates.push(rate);
      if (this.#rates.length > RATE_SAMPLES) this.#rates.shift();
      this.#sampleStart = now;
      this.#sampleBytes = 0;
    }
    this.#resize();
  }

  measuredRtt(ms: number): void {
    this.#rttsMs.push(ms);
    if (this.#rttsMs.length > RTT_SAMPLES) this.#rttsMs.shift();
    this.#resize();
  }

  /** Bytes that the path takes in at the measured rate within one (undisturbed) round trip. */
  get pathBytes(): number {
    return Math.max(0, ...this.#rates) * this.#pathMs();
  }

  #pathMs(): number {
    const pingMs = this.minRttMs ?? 0;
    if (pingMs >= SHORT_PATH_MS) return pingMs;
    return Math.max(Math.min(pingMs, this.#ackMs.value), LEAST_PATH_MS);
  }

  #resize(): void {
    this.#limit = Math.min(Math.max(this.#gain * this.pathBytes, this.#floor.bytes), this.#ceilingBytes);
  }
}

/**
 * A path is not taken for shorter than this, since the turns of two event loops belong to it. What is in flight beyond it waits
 * on this machine, in front of every keystroke, and makes a transfer hardly faster.
 */
const LEAST_PATH_MS = 0.5;
/** From here on the loops are a small part of it. */
const SHORT_PATH_MS = 10;
/**
 * How many times what was measured there should be room for: twice as much, and twice that while it rises. What more room
 * brought is seen a round trip late, so that makes a doubling in each (as the start-up of BBR).
 */
export function headroom(measured: number, before: number): number {
  return measured > RISE * before ? RISING_GAIN : GAIN;
}

const GAIN = 2;
const RISING_GAIN = 4;
const RISE = 1.25;
const MIN_SAMPLE_MS = 10;
const RATE_SAMPLES = 10;
const ACK_WINDOW_MS = 10_000;
/** Two minutes of pings at their default interval. */
const RTT_SAMPLES = 12;
