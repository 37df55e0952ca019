import type { LookupFunction } from "node:net";
import { CulvertError } from "@culvert/protocol";
import { NameQuestion } from "./name-question.ts";

/** Names that one owner may have waiting, and the most that may be asked for it at once. */
const MAX_WAITING = 256;
const MAX_ASKED = 32;

interface Owner {
  /** By name, in the order in which they came. */
  readonly waiting: Map<string, NameQuestion>;
  /** Questions of its that the resolver has. */
  asked: number;
}

/**
 * The line in front of a resolver that answers only so many questions at once. The system's has a few threads, lent by
 * libuv, and takes whoever comes first: a name whose servers are dead keeps a thread for 10 s or more, so one client that
 * asks for dead names would stop name resolution for all. Here owners take turns. Whoever is asked for nothing yet comes
 * first, and nobody gets a further place unless as many are left for others as it would have then.
 *
 * One question at a time for each name, whoever wants it. What nobody wants any more leaves the line; once asked, it keeps
 * its place until it is answered, since a resolver cannot be stopped.
 */
export class NameQueue {
  readonly #lookup: LookupFunction;
  /** May be changed at any time. */
  atOnce: number;
  readonly #asked = new Map<string, NameQuestion>();
  /** Who has something here, in the order of their turns. */
  readonly #owners = new Map<object, Owner>();

  constructor(lookup: LookupFunction, atOnce: number) {
    this.#lookup = lookup;
    this.atOnce = atOnce;
  }

  /** The question for `host`, which is asked when it is its turn. @throws CulvertError `resource_exhausted`. */
  question(host: string, owner: object): NameQuestion {
    const asked = this.#asked.get(host);
    if (asked !== undefined) return asked;
    const { waiting } = this.#enter(owner);
    const same = waiting.get(host);
    if (same !== undefined) return same;
    if (waiting.size >= MAX_WAITING)
      throw new CulvertError("resource_exhausted", "too many names are being looked up");
    const question = new NameQuestion(host, () => this.#withdraw(owner, question));
    waiting.set(host, question);
    this.#askNext();
    return question;
  }

  #enter(key: object): Owner {
    const known = this.#owners.get(key);
    if (known !== undefined) return known;
    const owner: Owner = { waiting: new Map(), asked: 0 };
    this.#owners.set(key, owner);
    return owner;
  }

  #withdraw(key: object, question: NameQuestion): void {
    const owner = this.#owners.get(key);
    if (owner?.waiting.get(question.host) !== question) return;
    owner.waiting.delete(question.host);
    this.#forgetIfDone(key, owner);
  }

  #forgetIfDone(key: object, owner: Owner): void {
    if (owner.waiting.size === 0 && owner.asked === 0) this.#owners.delete(key);
  }

  #askNext(): void {
    for (;;) {
      const key = this.#next();
      if (key === undefined) return;
      this.#ask(key, this.#owners.get(key)!);
    }
  }

  /** Of those who wait and may ask, the first of those for whom least is asked. */
  #next(): object | undefined {
    const free = this.atOnce - this.#asked.size;
    if (free <= 0) return undefined;
    let best: object | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const [key, { waiting, asked }] of this.#owners) {
      if (waiting.size === 0 || asked >= least) continue;
      // The first place is anybody's; a further one must leave as many free as it makes.
      if (asked > 0 && (asked >= MAX_ASKED || free - 1 < asked + 1)) continue;
      best = key;
      least = asked;
      if (asked === 0) break;
    }
    return best;
  }

  #ask(key: object, owner: Owner): void {
    const [question] = owner.waiting.values();
    const { host } = question!;
    owner.waiting.delete(host);
    owner.asked += 1;
    this.#asked.set(host, question!);
    this.#toTheEnd(key, owner);
    this.#joinAll(question!);
    question!.hear(() => {
      this.#asked.delete(host);
      owner.asked -= 1;
      this.#toTheEnd(key, owner); // also behind those who came while it had its turn
      this.#forgetIfDone(key, owner);
      this.#askNext();
    });
    question!.ask(this.#lookup);
  }

  #toTheEnd(key: object, owner: Owner): void {
    this.#owners.delete(key);
    this.#owners.set(key, owner);
  }

  /** Whoever else waits for the same name hears the same answer. */
  #joinAll(question: NameQuestion): void {
    for (const [key, owner] of this.#owners) {
      const same = owner.waiting.get(question.host);
      if (same === undefined) continue;
      owner.waiting.delete(question.host);
      this.#forgetIfDone(key, owner);
      question.hear((error, addresses) => same.settle(error, addresses));
    }
  }
}
