import type { LookupAddress } from "node:dns";
import type { LookupFunction } from "node:net";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { lookupAddresses } from "../src/name-lookup.ts";

type Answer = (error: Error | null, addresses: LookupAddress[]) => void;
const system = vi.hoisted(() => ({
  lookup: vi.fn((_host: string, _options: object, _answer: Answer) => {}),
}));
vi.mock("node:dns", () => system);

const { signal } = new AbortController();
const addresses: LookupAddress[] = [{ address: "192.0.2.1", family: 4 }];

/** Answers the question with that number. */
function answer(at: number, error: Error | null = null): void {
  system.lookup.mock.calls[at]![2](error, addresses);
}

beforeEach(() => system.lookup.mockClear());

describe("the system's resolver", () => {
  test("is asked once for all who want the same name at the same time, and again later", async () => {
    const asked = [1, 2, 3].map(() => lookupAddresses("a.example", signal));
    const other = lookupAddresses("b.example", signal);
    expect(system.lookup.mock.calls.map(([host]) => host)).toEqual(["a.example", "b.example"]);
    answer(0);
    answer(1);
    expect(await Promise.all([...asked, other])).toEqual([addresses, addresses, addresses, addresses]);
    const later = lookupAddresses("a.example", signal);
    expect(system.lookup).toHaveBeenCalledTimes(3);
    answer(2);
    await later;
  });

  test("is asked again after an error, which all get who waited", async () => {
    const asked = [1, 2].map(() => lookupAddresses("a.example", signal));
    answer(0, new Error("none"));
    for (const each of asked) await expect(each).rejects.toThrow("none");
    const again = lookupAddresses("a.example", signal);
    answer(1);
    expect(await again).toEqual(addresses);
  });

  test("goes on for the others when one gives up", async () => {
    const stop = new AbortController();
    const [impatient, patient] = [stop.signal, signal].map((each) => lookupAddresses("a.example", each));
    stop.abort(new Error("enough"));
    await expect(impatient).rejects.toThrow("enough");
    answer(0);
    expect(await patient).toEqual(addresses);
  });

  test("may fail after all gave up", async () => {
    const stop = new AbortController();
    const asked = lookupAddresses("a.example", stop.signal);
    stop.abort(new Error("enough"));
    await expect(asked).rejects.toThrow("enough");
    answer(0, new Error("none")); // an unhandled rejection would fail the run
    await new Promise((resolve) => setImmediate(resolve));
  });

  test("is not asked for what is an address already, nor for localhost", async () => {
    expect(await lookupAddresses("::1", signal)).toEqual([{ address: "::1", family: 6 }]);
    for (const name of ["localhost", "LocalHost", "localhost."]) {
      const found = await lookupAddresses(name, signal);
      expect(found.map(({ address }) => address)).toEqual(["127.0.0.1", "::1"]);
    }
    expect(system.lookup).not.toHaveBeenCalled();
  });

  test("is not asked when there is another one, not even for localhost", async () => {
    const own = [{ address: "192.0.2.7", family: 4 }];
    const lookup: LookupFunction = (_host, _options, done) => done(null, own);
    expect(await lookupAddresses("localhost", signal, { lookup })).toEqual(own);
    expect(system.lookup).not.toHaveBeenCalled();
  });
});
