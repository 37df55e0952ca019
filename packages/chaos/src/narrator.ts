import type { ConnectionInfo } from "./chaos-connection.ts";
import type { ChaosStats, Cut } from "./chaos-events.ts";
import type { ChaosStep } from "./chaos-plan.ts";
import type { ChaosProxy } from "./chaos-proxy.ts";
import type { DirectionFault } from "./fault.ts";
import { sizeText, timeText } from "./quantity.ts";

/** Refusals come fast; of those within this time one line is made. */
const REFUSALS_MS = 1_000;

/** Tells what a proxy does, a line each. */
export class Narrator {
  readonly #write: (text: string) => void;
  readonly #startedAt = performance.now();
  #faults = "both ways: everything passes";
  #refusals = 0;
  #refusalsTimer: NodeJS.Timeout | undefined;

  constructor(proxy: ChaosProxy, write: (text: string) => void) {
    this.#write = write;
    proxy
      .on("open", ({ id }) => this.say(`#${id} connected`))
      .on("dialFailed", ({ id }, error) =>
        this.say(`#${id} reset: the target cannot be reached (${error.message})`),
      )
      .on("refused", () => this.#refused())
      .on("cut", (cut) => this.say(cutText(cut)))
      .on("faults", ({ up, down }) => this.#changed(up, down))
      .on("connectionClosed", (connection) => this.#closed(connection));
  }

  say(text: string): void {
    const at = ((performance.now() - this.#startedAt) / 1000).toFixed(1);
    this.#write(`${at.padStart(8)} s  ${text}\n`);
  }

  /** A step of a plan begins. Only what tells of itself by nothing else. */
  step(step: ChaosStep): void {
    if (step.kind === "refuse") this.say(`new connections are refused for ${timeText(step.forMs)}`);
    else if (step.kind === "cutAfter") {
      this.say(`to be cut after ${sizeText(step.bytes)} more ${step.direction}`);
    }
  }

  /** The last lines. */
  sum({ accepted, refused, dialFailed, cuts, up, down }: ChaosStats): void {
    clearTimeout(this.#refusalsTimer);
    this.#tellRefusals();
    const flipped = up.bitsFlipped + down.bitsFlipped;
    const dropped = up.bytesDropped + down.bytesDropped;
    const parts = [
      `${accepted} ${accepted === 1 ? "connection" : "connections"}`,
      `${cuts.rst} cut by RST, ${cuts.fin} by FIN`,
      `${refused} refused`,
      ...(dialFailed === 0 ? [] : [`${dialFailed} without a target`]),
      `${sizeText(up.bytesForwarded)} up, ${sizeText(down.bytesForwarded)} down`,
      ...(dropped === 0 ? [] : [`${sizeText(dropped)} thrown away`]),
      ...(flipped === 0 ? [] : [`${flipped} bits turned over`]),
    ];
    this.say(`the end: ${parts.join("; ")}`);
  }

  #closed(connection: ConnectionInfo): void {
    const { id, up, down } = connection;
    this.say(`#${id} over: ${sizeText(up.bytesForwarded)} up, ${sizeText(down.bytesForwarded)} down`);
  }

  #changed(up: DirectionFault, down: DirectionFault): void {
    const text =
      JSON.stringify(up) === JSON.stringify(down)
        ? `both ways: ${faultText(up)}`
        : `up: ${faultText(up)}; down: ${faultText(down)}`;
    if (text === this.#faults) return;
    this.#faults = text;
    this.say(text);
  }

  #refused(): void {
    this.#refusals += 1;
    this.#refusalsTimer ??= setTimeout(() => this.#tellRefusals(), REFUSALS_MS).unref();
  }

  #tellRefusals(): void {
    this.#refusalsTimer = undefined;
    if (this.#refusals > 0) this.say(`${this.#refusals} refused`);
    this.#refusals = 0;
  }
}

function cutText({ how, cause, connection }: Cut): string {
  const where = cause === "cutAfter" ? ", in the middle of what it carried" : "";
  return `#${connection.id} cut by ${how.toUpperCase()}${where}`;
}

function faultText(fault: DirectionFault): string {
  if (fault === "pass") return "everything passes";
  if (fault === "stall") return "nothing moves";
  if (fault === "blackhole") return "everything is swallowed";
  const { delayMs, jitterMs, bytesPerSecond, slice, coalesceMs, flipBit } = fault;
  const parts = [
    ...(delayMs === undefined ? [] : [`${timeText(delayMs)} late`]),
    ...(jitterMs === undefined ? [] : [`${timeText(jitterMs)} of jitter`]),
    ...(bytesPerSecond === undefined ? [] : [`${sizeText(bytesPerSecond)} a second`]),
    ...(slice === undefined ? [] : [`pieces of ${sizeText(slice.maxBytes)} at most`]),
    ...(coalesceMs === undefined ? [] : [`gathered for ${timeText(coalesceMs)}`]),
    ...(flipBit !== undefined && "everyBytes" in flipBit
      ? [`a bit turned over every ${sizeText(flipBit.everyBytes)}`]
      : []),
  ];
  return parts.join(", ");
}
