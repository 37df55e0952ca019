import type { LookupAddress } from "node:dns";
import type { LookupFunction } from "node:net";
import { afterEach, describe, expect, test, vi } from "vitest";
import { LookupShare, setThreadPoolSize } from "../src/lookup-share.ts";

type Answer = (error: Error | null, addresses: LookupAddress[]) => void;
const system = vi.hoisted(() => ({
  lookup: vi.fn((_host: string, _options: object, _answer: Answer) => {}),
}));
vi.mock("node:dns", () => system);

const addresses: LookupAddress[] = [{ address: "192.0.2.1", family: 4 }];
const { signal } = new AbortController();

function asked(): string[] {
  return system.lookup.mock.calls.map(([host]) => host);
}

/** Asks for `count` fresh names; the promises may fail without a word. */
function ask(share: LookupShare, count: number, name: string, stop: AbortSignal = signal) {
  const answers = Array.from({ length: count }, (_, at) => share.addresses(`${name}${at}`, stop, undefined));
  for (const each of answers) each.catch(() => undefined);
  return answers;
}

afterEach(() => {
  setThreadPoolSize(4);
  // Whatever a test left unanswered would count in the next one, and answers make room for further questions.
  for (let at = 0; at < asked().length; at += 1) system.lookup.mock.calls[at]![2](null, addresses);
  system.lookup.mockClear();
});

describe("LookupShare", () => {
  test("two dead names, or any number of them, of one session leave a thread to the others", async () => {
    ask(new LookupShare(), 100, "dead");
    expect(asked()).toEqual(["dead0"]);
    const other = new LookupShare().addresses("honest", signal, undefined);
    expect(asked()).toEqual(["dead0", "honest"]);
    system.lookup.mock.calls[1]![2](null, addresses);
    expect(await other).toEqual(addresses);
  });

  test("asks for as many names at once as libuv has threads for names, but one", () => {
    setThreadPoolSize(16);
    for (let owner = 0; owner < 20; owner += 1) ask(new LookupShare(), 20, `owner${owner}-`);
    expect(asked()).toHaveLength(7);
    expect(asked().filter((host) => host.startsWith("owner0-"))).toHaveLength(3);
  });

  test("a session that asks for fresh names and gives them up at once leaves nothing behind", async () => {
    const share = new LookupShare();
    for (let round = 0; round < 1000; round += 1) {
      const one = new AbortController();
      const [gone] = ask(share, 1, `round${round}-`, one.signal);
      one.abort(new Error("reset"));
      await expect(gone).rejects.toThrow("reset");
    }
    expect(asked()).toEqual(["round0-0"]);
    const late = share.addresses("late", signal, undefined);
    system.lookup.mock.calls[0]![2](new Error("none"), []);
    system.lookup.mock.calls[1]![2](null, addresses);
    expect(await late).toEqual(addresses);
  });

  test("a lookup of the caller's own has its own line, with more places", async () => {
    const prompt: LookupFunction = (_host, _options, done) => done(null, addresses);
    ask(new LookupShare(), 2, "dead");
    for (let i = 0; i < 300; i += 1) {
      expect(await new LookupShare().addresses("n", signal, prompt)).toEqual(addresses);
    }
    const mute = vi.fn();
    const share = new LookupShare();
    for (let i = 0; i < 40; i += 1) void share.addresses(`n${i}`, signal, mute);
    expect(mute).toHaveBeenCalledTimes(32);
  });
});
