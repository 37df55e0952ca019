import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Holder, ListenerTable } from "../src/listener-table.ts";

const ann: Holder = { owner: "user:ann", name: "office" };
const bob: Holder = { owner: "user:bob", name: "office" };

/** The code that a claim fails with. */
function codeOf(claim: () => unknown): string {
  try {
    claim();
    return "claimed";
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe("ListenerTable", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test.each([
    ["127.0.0.1", "127.0.0.1"],
    ["127.0.0.1", "0.0.0.0"],
    ["0.0.0.0", "127.0.0.1"],
    ["::", "0.0.0.0"],
    ["0.0.0.0", "::"],
    ["::", "::1"],
    ["::1", "::"],
    ["127.0.0.1", "::"],
  ])("T23: who holds %s keeps others from %s at the same port", (held, asked) => {
    const table = new ListenerTable();
    table.claim(ann, held, 8000);
    expect(codeOf(() => table.claim(bob, asked, 8000))).toBe("listener_held");
    expect(codeOf(() => table.claim(bob, asked, 8001))).toBe("claimed");
  });

  test.each([
    ["127.0.0.1", "127.0.0.2"],
    ["0.0.0.0", "::1"],
    ["127.0.0.1", "::1"],
  ])("%s and %s do not overlap", (held, asked) => {
    const table = new ListenerTable();
    table.claim(ann, held, 8000);
    expect(codeOf(() => table.claim(bob, asked, 8000))).toBe("claimed");
  });

  test("the holder itself is told that it listens there already; the name alone makes no holder", () => {
    const table = new ListenerTable();
    table.claim(ann, "127.0.0.1", 8000);
    expect(codeOf(() => table.claim(ann, "127.0.0.1", 8000))).toBe("address_in_use");
    expect(codeOf(() => table.claim({ ...ann, name: "home" }, "127.0.0.1", 8000))).toBe("listener_held");
  });

  test("port 0 is no port until it is bound", () => {
    const table = new ListenerTable();
    const first = table.claim(ann, "127.0.0.1", 0);
    const second = table.claim(bob, "127.0.0.1", 0);
    first.bound(40_000);
    second.bound(40_001);
    expect(codeOf(() => table.claim(bob, "127.0.0.1", 40_000))).toBe("listener_held");
    second.release();
    expect(codeOf(() => table.claim(ann, "127.0.0.1", 40_001))).toBe("claimed");
  });

  test("a file of a Unix socket has one holder, too", () => {
    const table = new ListenerTable();
    const claim = table.claimPath(ann, "/run/a.sock");
    expect(codeOf(() => table.claimPath(bob, "/run/a.sock"))).toBe("listener_held");
    expect(codeOf(() => table.claimPath(bob, "/run/b.sock"))).toBe("claimed");
    claim.release();
    expect(codeOf(() => table.claimPath(bob, "/run/a.sock"))).toBe("claimed");
  });

  test("what is released is free at once; what is kept is the holder's for that long, and nobody else's", () => {
    const table = new ListenerTable();
    table.claim(ann, "127.0.0.1", 8000).release();
    const claim = table.claim(bob, "127.0.0.1", 8000);
    claim.release(10_000);
    vi.advanceTimersByTime(9999);
    expect(codeOf(() => table.claim(ann, "0.0.0.0", 8000))).toBe("listener_held");
    vi.advanceTimersByTime(1);
    expect(codeOf(() => table.claim(ann, "0.0.0.0", 8000))).toBe("claimed");
  });

  test("the holder takes what was kept for it, and it stays taken when the time is over", () => {
    const table = new ListenerTable();
    table.claim(ann, "127.0.0.1", 8000).release(10_000);
    const claim = table.claim(ann, "127.0.0.1", 8000);
    vi.advanceTimersByTime(10_000);
    expect(codeOf(() => table.claim(bob, "127.0.0.1", 8000))).toBe("listener_held");
    claim.release();
    expect(codeOf(() => table.claim(bob, "127.0.0.1", 8000))).toBe("claimed");
  });

  test("T25: no more is kept for an identity than it may listen on, whatever it called its clients; the oldest is free", () => {
    const table = new ListenerTable();
    for (const port of [1, 2, 3, 4]) {
      table.claim({ ...ann, name: `client-${port}` }, "127.0.0.1", 8000 + port).release(10_000, 2);
    }
    const codes = [1, 2, 3, 4].map((port) => codeOf(() => table.claim(bob, "0.0.0.0", 8000 + port)));
    expect(codes).toEqual(["claimed", "claimed", "listener_held", "listener_held"]);
    // What was kept and was taken again is not kept any more.
    const again = { ...ann, name: "client-3" };
    table.claim(again, "127.0.0.1", 8003);
    table.claim(again, "127.0.0.1", 8005).release(10_000, 2);
    table.claim(again, "127.0.0.1", 8006).release(10_000, 2);
    expect(codeOf(() => table.claim(bob, "127.0.0.1", 8003))).toBe("listener_held");
    expect(codeOf(() => table.claim(bob, "127.0.0.1", 8004))).toBe("claimed");
  });
});
