import { lookup as systemLookup } from "node:dns";
import type { LookupFunction } from "node:net";
import { CulvertError } from "@culvert/protocol";
import { type Addresses, NameQuestion } from "./name-question.ts";

/** Names that the process asks the system's resolver for at once. */
const MAX_QUESTIONS = 256;
/** Names that one owner has asked for and that are not answered yet, and how many more may wait for their turn. */
const MAX_ASKED = 32;
const MAX_WAITING = 256;

/**
 * One question at a time for each name. libuv lends two of its four threads to the resolver; a thousand visitors of one
 * dead name would otherwise queue a thousand time-outs in front of every other name. Answers are not kept: the
 * resolver knows how long they are good for, and we do not.
 */
const inFlight = new Map<string, NameQuestion>();

/**
 * What one owner, a session for one, may ask of the resolver at once. A question cannot be taken back, so its place stays
 * taken until it is answered, also when nobody wants the answer any more: otherwise a peer that opens streams to fresh
 * names and resets them would fill the resolver's queue for everybody.
 */
export class LookupShare {
  readonly #asked = new Set<NameQuestion>();
  /** In the order in which they came; each looks whether it is its turn. */
  readonly #waiting = new Set<() => void>();

  /**
   * The addresses of a name; waits for its turn first.
   * @param lookup Default: the system's resolver.
   * @throws CulvertError `resource_exhausted`; the resolver's error; the reason of `signal`.
   */
  addresses(host: string, signal: AbortSignal, lookup: LookupFunction | undefined): Promise<Addresses> {
    return new Promise((resolve, reject) => {
      let takeOff = (): void => undefined;
      const settle = (): void => {
        takeOff();
        this.#waiting.delete(look);
        signal.removeEventListener("abort", onAbort);
      };
      const onAbort = (): void => {
        settle();
        reject(signal.reason);
      };
      const look = (): void => {
        try {
          const question = this.#take(host, lookup);
          if (question === undefined) {
            if (this.#waiting.size >= MAX_WAITING && !this.#waiting.has(look)) throw exhausted();
            this.#waiting.add(look);
            return;
          }
          this.#waiting.delete(look);
          takeOff = question.hear((error, addresses) => {
            settle();
            if (error === undefined) resolve(addresses);
            else reject(error);
          });
        } catch (error) {
          settle();
          reject(error);
        }
      };
      signal.addEventListener("abort", onAbort);
      look();
    });
  }

  /** The question, if it is asked already or there is a place for it. */
  #take(host: string, lookup: LookupFunction | undefined): NameQuestion | undefined {
    const asked = lookup === undefined ? inFlight.get(host) : undefined;
    if (asked !== undefined && this.#asked.has(asked)) return asked;
    if (this.#asked.size >= MAX_ASKED) return undefined;
    const question = asked ?? (lookup === undefined ? askSystem(host) : new NameQuestion(host, lookup));
    this.#asked.add(question);
    question.hear(() => {
      this.#asked.delete(question);
      for (const look of [...this.#waiting]) look();
    });
    return question;
  }
}

function askSystem(host: string): NameQuestion {
  if (inFlight.size >= MAX_QUESTIONS) throw exhausted();
  const question = new NameQuestion(host, systemLookup);
  inFlight.set(host, question);
  question.hear(() => inFlight.delete(host));
  return question;
}

function exhausted(): CulvertError {
  return new CulvertError("resource_exhausted", "too many names are being looked up");
}
