import { Random } from "../../packages/chaos/src/random.ts";
import { encodePing, FRAME } from "../../packages/protocol/src/frame.ts";
import { keep, type Seeds } from "./corpus.ts";
import type { Fuzz } from "./fuzz.ts";
import { mutated } from "./mutation.ts";
import { GREEDY, SessionEnd } from "./session-end.ts";

/** In how many of a hundred messages somebody meddles, in one round. */
const RATES = [0, 1, 5, 30] as const;
const MOST_STEPS = 150;
const MOST_RECORDED = 200;
const STEP_MS = 40;

/**
 * A session under a fake clock, with an end that is honest, or greedy, behind a wire that loses, repeats, reorders and changes messages, and
 * says things of its own: it ends with a code, or it goes on; it keeps its bounds; and nothing is thrown.
 */
export class SessionFuzz implements Fuzz {
  readonly name = "session";
  readonly #seed: number;
  readonly #seeds: Seeds;

  constructor(seed: number, seeds: Seeds) {
    this.#seed = seed;
    this.#seeds = seeds;
  }

  round(number: number): void {
    try {
      new SessionRound(new Random(this.#seed).derive(number), this.#seeds.frames).play();
    } catch (error) {
      const what = String(error);
      keep(`session-${this.#seed}-${number}`, { target: "session", what, seed: this.#seed, round: number });
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing is open.
  }
}

class SessionRound {
  readonly #random: Random;
  readonly #subject: SessionEnd;
  readonly #other: SessionEnd;
  readonly #rate: number;
  /** What the other end has said so far, and messages of elsewhere. */
  readonly #recorded: Uint8Array[];
  /** Held back, to arrive behind what was sent after it. */
  readonly #late: Uint8Array[] = [];
  #now = 0;
  #transport = 1;

  constructor(random: Random, frames: readonly Uint8Array[]) {
    this.#random = random;
    const isClient = random.between(0, 1) === 0;
    this.#subject = new SessionEnd(isClient ? "client" : "server", random);
    const isGreedy = random.between(0, 3) === 0;
    this.#other = new SessionEnd(isClient ? "server" : "client", random, isGreedy ? GREEDY : undefined);
    this.#rate = random.pick(RATES);
    this.#recorded = Array.from({ length: 20 }, () => random.pick(frames));
  }

  play(): void {
    this.#subject.attach(1, 0, 0);
    this.#other.attach(1, 0, 0);
    const steps = this.#random.between(5, MOST_STEPS);
    for (let step = 0; step < steps && this.#subject.endedBy === undefined; step += 1) {
      this.#step();
      this.#subject.check();
    }
    this.#mustLiveOrBeOver();
  }

  #step(): void {
    const random = this.#random;
    for (const end of [this.#subject, this.#other]) {
      for (let n = random.between(0, 3); n > 0; n -= 1) end.act();
    }
    for (const message of this.#subject.take(this.#now)) this.#other.receive(message, this.#now);
    for (const message of this.#other.take(this.#now)) this.#carry(message);
    if (this.#chance()) this.#subject.receive(mutated(random, this.#recorded), this.#now);
    if (this.#chance()) this.#reattach();
    if (this.#chance() && random.between(0, 9) === 0)
      this.#subject.session.receiveText(this.#subject.transport);
    // A transport that was given up may still deliver.
    if (this.#chance())
      this.#subject.session.receive(this.#transport - 1, random.pick(this.#recorded), this.#now);
    this.#now += random.between(0, STEP_MS);
    this.#subject.advance(this.#now);
    this.#other.advance(this.#now);
    if (this.#subject.session.state === "detached" && random.between(0, 3) === 0) this.#reattach();
  }

  #carry(message: Uint8Array): void {
    const random = this.#random;
    this.#recorded.push(message);
    if (this.#recorded.length > MOST_RECORDED) this.#recorded.shift();
    const send = (m: Uint8Array): void => this.#subject.receive(m, this.#now);
    if (!this.#chance()) send(message);
    else {
      const meddle: readonly (() => void)[] = [
        () => undefined,
        () => [message, message].forEach(send),
        () => void this.#late.push(message),
        () => send(mutated(random, [message])),
        () => send(mutated(random, this.#recorded)),
        () => [random.pick(this.#recorded), message].forEach(send),
      ];
      random.pick(meddle)();
    }
    if (this.#late.length > 0 && random.between(0, 3) === 0) send(this.#late.shift() as Uint8Array);
  }

  /** Both ends over a new transport; now and then with a number that is not true. */
  #reattach(): void {
    if (this.#subject.session.state === "ended" || this.#other.session.state === "ended") return;
    this.#transport += 1;
    for (const end of [this.#subject, this.#other]) end.session.detach(this.#now);
    const [ours, theirs] = [this.#subject.session.received, this.#other.session.received];
    const said = this.#chance() ? theirs + this.#random.between(-3, 3) : theirs;
    this.#subject.attach(this.#transport, Math.max(0, said), this.#now);
    this.#other.attach(this.#transport, ours, this.#now);
  }

  #chance(): boolean {
    return this.#random.between(1, 100) <= this.#rate;
  }

  /** @throws Error when it neither ended nor answers. */
  #mustLiveOrBeOver(): void {
    const subject = this.#subject;
    if (subject.session.state === "attached") {
      subject.receive(encodePing(4711), this.#now);
      const answers = subject.take(this.#now).some((message) => message[0] === FRAME.pong);
      if (subject.endedBy === undefined && !answers) throw new Error("it does not answer");
    }
    subject.check();
    // Whatever is still asked of it: nothing is thrown, and a detached one is over when its grace is.
    for (let n = 0; n < 20; n += 1) subject.act();
    subject.session.detach(this.#now);
    subject.advance(this.#now + 2000);
    subject.receive(this.#random.pick(this.#recorded), this.#now);
    if (subject.take(this.#now + 2000).length > 0 || subject.session.state !== "ended") {
      throw new Error("it is not over");
    }
  }
}
