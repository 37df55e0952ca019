import type { Answer, Question } from "./forked.ts";

/** What a forked process offers, by name. */
export type Offers = Readonly<Record<string, (argument: never) => unknown>>;

/** How busy the process was since it was asked to start counting: processor time by time. */
const usage = { cpu: process.cpuUsage(), at: performance.now() };
const COMMON: Offers = {
  "restart usage": () => {
    usage.cpu = process.cpuUsage();
    usage.at = performance.now();
  },
  usage: () => {
    const { user, system } = process.cpuUsage(usage.cpu);
    return (user + system) / 1000 / (performance.now() - usage.at);
  },
  /** Does nothing, and lets nothing else be done, for so many milliseconds. */
  block: (ms: number) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms),
};

/** Answers questions in a process that `Forked` started, until its parent lets go of it. */
export function answering(offers: Offers): void {
  process.on("message", async (question: Question) => {
    const { id, method, argument } = question;
    let answer: Answer;
    try {
      const offer = { ...COMMON, ...offers }[method] as ((argument: unknown) => unknown) | undefined;
      if (offer === undefined) throw new Error("nothing of that name is offered");
      answer = { id, value: await offer(argument) };
    } catch (error) {
      answer = { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
    process.send?.(answer);
  });
}

/** The options that it was started with. */
export function givenOptions<T>(): T {
  return JSON.parse(process.argv[2] ?? "{}") as T;
}
