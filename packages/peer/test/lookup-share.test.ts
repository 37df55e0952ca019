import type { LookupAddress } from "node:dns";
import type { LookupFunction } from "node:net";
import { afterEach, describe, expect, test, vi } from "vitest";
import { LookupShare } from "../src/lookup-share.ts";

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

/** Answers the questions with these numbers. */
function answer(from: number, to = from + 1): void {
  for (const [, , done] of system.lookup.mock.calls.slice(from, to)) done(null, addresses);
}

/** Asks for `count` fresh names; the promises may fail without a word. */
function ask(share: LookupShare, count: number, name: string, stop: AbortSignal = signal) {
  const answers = Array.from({ length: count }, (_, at) => share.addresses(`${name}${at}`, stop, undefined));
  for (const each of answers) each.catch(() => undefined);
  return answers;
}

/** Lets promises that are settled by now tell. */
async function settled(promises: readonly Promise<unknown>[]): Promise<string[]> {
  return await Promise.all(
    promises.map((each) =>
      Promise.race([
        each.then(
          () => "answered",
          (error: { code?: string }) => error.code ?? "failed",
        ),
        new Promise<string>((resolve) => setImmediate(resolve, "waits")),
      ]),
    ),
  );
}

afterEach(() => {
  // Whatever a test left unanswered would count in the next one, and answers make room for further questions.
  while (asked().length > 0) {
    const { length } = asked();
    answer(0, length);
    system.lookup.mock.calls.splice(0, length);
  }
});

describe("LookupShare", () => {
  test("asks for 32 names at once; further ones wait for their turn, in order", async () => {
    const share = new LookupShare();
    const answers = ask(share, 34, "n");
    expect(asked()).toHaveLength(32);
    expect(await settled(answers.slice(32))).toEqual(["waits", "waits"]);
    answer(5);
    expect(asked().slice(32)).toEqual(["n32"]);
    answer(7);
    expect(asked().slice(32)).toEqual(["n32", "n33"]);
    answer(32, 34);
    expect(await Promise.all(answers.slice(32))).toEqual([addresses, addresses]);
  });

  test("keeps a place taken until the answer, also when nobody wants it any more", async () => {
    const share = new LookupShare();
    const stop = new AbortController();
    for (let round = 0; round < 100; round += 1) {
      // An opener that opens streams to fresh names and resets them at once.
      const one = new AbortController();
      ask(share, 1, `round${round}-`, one.signal);
      one.abort(new Error("reset"));
    }
    expect(asked()).toHaveLength(32);
    const [late] = ask(share, 1, "late", stop.signal);
    expect(asked()).toHaveLength(32);
    answer(0);
    expect(asked()[32]).toBe("late0");
    answer(32);
    expect(await late).toEqual(addresses);
  });

  test("takes no place for a name that it has asked for already, and gives all the answer", async () => {
    const share = new LookupShare();
    ask(share, 32, "n");
    const same = [1, 2, 3].map(() => share.addresses("n3", signal, undefined));
    answer(3);
    expect(await Promise.all(same)).toEqual([addresses, addresses, addresses]);
    expect(asked()).toHaveLength(32);
  });

  test("asks once for all who waited for the same name", async () => {
    const share = new LookupShare();
    ask(share, 32, "n");
    const same = [1, 2, 3].map(() => share.addresses("wanted", signal, undefined));
    answer(0);
    expect(asked().slice(32)).toEqual(["wanted"]);
    answer(32);
    expect(await Promise.all(same)).toEqual([addresses, addresses, addresses]);
  });

  test("lets 256 wait and refuses the next one; who gives up makes room", async () => {
    const share = new LookupShare();
    ask(share, 32, "n");
    const stop = new AbortController();
    const [impatient] = ask(share, 1, "impatient", stop.signal);
    ask(share, 255, "waiting");
    expect(await settled(ask(share, 1, "too-many"))).toEqual(["resource_exhausted"]);
    stop.abort(new Error("enough"));
    await expect(impatient).rejects.toThrow("enough");
    expect(await settled(ask(share, 1, "next"))).toEqual(["waits"]);
  });

  test("does not wait for the places of others", async () => {
    ask(new LookupShare(), 100, "greedy");
    const other = new LookupShare().addresses("honest", signal, undefined);
    expect(asked()).toHaveLength(33);
    answer(32);
    expect(await other).toEqual(addresses);
  });

  test("asks the system for 256 names at once over all owners, and refuses more", async () => {
    for (let owner = 0; owner < 8; owner += 1) ask(new LookupShare(), 32, `owner${owner}-`);
    expect(asked()).toHaveLength(256);
    const share = new LookupShare();
    expect(await settled(ask(share, 1, "n"))).toEqual(["resource_exhausted"]);
    const shared = share.addresses("owner3-7", signal, undefined); // asked for by somebody else: costs nothing
    answer(0);
    const [fresh] = ask(share, 1, "n");
    expect(asked()).toHaveLength(257);
    answer(1, 257);
    expect(await Promise.all([shared, fresh])).toEqual([addresses, addresses]);
  });

  test("keeps to its bound with a lookup of the caller's own, that answers at once or throws", async () => {
    const share = new LookupShare();
    const lookup: LookupFunction = (_host, _options, done) => done(null, addresses);
    for (let i = 0; i < 100; i += 1) expect(await share.addresses("n", signal, lookup)).toEqual(addresses);
    const broken: LookupFunction = () => {
      throw new Error("broken");
    };
    for (let i = 0; i < 100; i += 1) {
      await expect(share.addresses("n", signal, broken)).rejects.toThrow("broken");
    }
    const mute = vi.fn();
    for (let i = 0; i < 40; i += 1) void share.addresses("n", signal, mute);
    expect(mute).toHaveBeenCalledTimes(32);
  });
});
