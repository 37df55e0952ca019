import { once } from "node:events";
import { describe, expect, it } from "vitest";
import type { Cut } from "../src/index.ts";
import { Rig, random, settled, turn, until } from "./rig.ts";

describe("cut", () => {
  it("resets both ends of every connection", async () => {
    await using rig = await Rig.start();
    const pairs = [await rig.pair(), await rig.pair()];
    expect(rig.proxy.cut({ how: "rst" })).toBe(2);
    expect(rig.proxy.connections).toEqual([]);
    for (const { near, far } of pairs) {
      expect([await near.closed, await far.closed]).toEqual(["ECONNRESET", "ECONNRESET"]);
    }
    expect(rig.proxy.cut({ how: "rst" })).toBe(0);
    expect(rig.proxy.stats()).toMatchObject({ cuts: { rst: 2, fin: 0 }, live: 0 });
  });

  it("ends both ends in good order, and delivers nothing that comes later", async () => {
    await using rig = await Rig.start();
    const { near, far } = await rig.pair();
    near.socket.write("before");
    await far.got(6);
    rig.proxy.cut({ how: "fin" });
    await Promise.all([near.ended, far.ended]);
    near.socket.end("after");
    far.socket.end("after");
    expect([await near.closed, await far.closed]).toEqual([undefined, undefined]);
    expect([near.received.toString(), far.received.toString()]).toEqual(["", "before"]);
  });

  it("does not wait for ever for the ends of those that were cut with FIN", async () => {
    await using rig = await Rig.start();
    const { near, far } = await rig.pair();
    const gone = once(rig.proxy, "connectionClosed");
    rig.proxy.cut({ how: "fin" });
    await Promise.all([near.ended, far.ended]);
    await gone;
    expect(rig.proxy.stats().live).toBe(0);
  });

  it("cuts one of many", async () => {
    await using rig = await Rig.start();
    const pairs = [await rig.pair(), await rig.pair(), await rig.pair()] as const;
    const cut = once(rig.proxy, "cut");
    expect(rig.proxy.cut({ how: "rst", which: pairs[1].id })).toBe(1);
    expect((await cut)[0]).toMatchObject({ how: "rst", cause: "cut", connection: { id: pairs[1].id } });
    await pairs[1].near.closed;
    pairs[0].near.socket.write("a");
    pairs[2].near.socket.write("b");
    await Promise.all([pairs[0].far.got(1), pairs[2].far.got(1)]);
  });

  it.each(["fin", "rst"] as const)("works on a stalled connection (%s)", async (how) => {
    await using rig = await Rig.start();
    const { near, far } = await rig.pair();
    rig.proxy.pause();
    near.socket.write("held");
    await turn();
    rig.proxy.cut({ how });
    if (how === "fin") {
      await Promise.all([near.ended, far.ended]);
      near.socket.end();
      far.socket.end();
    }
    const code = how === "rst" ? "ECONNRESET" : undefined;
    expect([await near.closed, await far.closed]).toEqual([code, code]);
    expect(far.bytes).toBe(0);
  });

  it("refuses what it does not know", async () => {
    await using rig = await Rig.start();
    expect(() => rig.proxy.cut({ how: "reset" as never })).toThrow("how must be one of fin, rst");
    expect(() => rig.proxy.cut({ how: "fin", which: "live" as never })).toThrow("which");
    expect(() => rig.proxy.cutAfter({ how: "fin", bytes: -1, direction: "up" })).toThrow("bytes");
    expect(() => rig.proxy.cutAfter({ how: "fin", bytes: 1, direction: "left" as never })).toThrow(
      "direction",
    );
  });
});

describe("cutAfter", () => {
  const offsets = [...Array.from({ length: 15 }, (_, i) => i), 65_535, 65_536, 65_537, 1_000_000];

  it.each(["fin", "rst"] as const)(
    "forwards exactly the bytes, up and down (%s)",
    async (how) => {
      await using rig = await Rig.start();
      const sent = random(2_000_000);
      for (const bytes of offsets) {
        for (const direction of ["up", "down"] as const) {
          rig.proxy.cutAfter({ bytes, direction, how });
          const cut = once(rig.proxy, "cut") as Promise<[Cut]>;
          const { near, far } = await rig.pair();
          const [from, to] = direction === "up" ? [near, far] : [far, near];
          from.socket.end(sent);
          const [{ cause, connection }] = await cut;
          expect(cause).toBe("cutAfter");
          expect(connection[direction].bytesForwarded).toBe(bytes);
          if (how === "fin") {
            await to.ended;
            to.socket.end();
          }
          expect(await to.closed).toBe(how === "rst" ? "ECONNRESET" : undefined);
          expect(to.received.equals(sent.subarray(0, bytes))).toBe(true);
          from.socket.destroy();
        }
      }
      expect(rig.proxy.stats().cuts[how]).toBe(offsets.length * 2);
    },
    60_000,
  );

  it("counts what was forwarded, under any fault", async () => {
    await using rig = await Rig.start();
    rig.proxy.set({ up: { slice: { maxBytes: 7 }, delayMs: 5, coalesceMs: 5 } });
    rig.proxy.cutAfter({ bytes: 1_000, direction: "up", how: "fin" });
    const { near, far } = await rig.pair();
    const sent = random(5_000);
    // The end is known before the cut is reached.
    near.socket.end(sent);
    await far.ended;
    expect(far.received.equals(sent.subarray(0, 1_000))).toBe(true);
  });

  it("lets the last bytes out even when both ends have ended", async () => {
    await using rig = await Rig.start();
    rig.proxy.set({ up: { delayMs: 50 } });
    rig.proxy.cutAfter({ bytes: 300_000, direction: "up", how: "rst" });
    const { near, far } = await rig.pair();
    const sent = random(400_000);
    far.socket.end();
    near.socket.end(sent);
    expect(await far.closed).toBe("ECONNRESET");
    expect(far.received.equals(sent.subarray(0, 300_000))).toBe(true);
    expect(rig.proxy.stats().cuts.rst).toBe(1);
  });

  it("serves the next connections in turn, and then each", async () => {
    await using rig = await Rig.start();
    rig.proxy.cutAfter({ bytes: 1, direction: "up", how: "fin", which: "each" });
    rig.proxy.cutAfter({ bytes: 2, direction: "up", how: "fin" });
    rig.proxy.cutAfter({ bytes: 3, direction: "up", how: "fin", which: "next" });
    const counts: number[] = [];
    for (let i = 0; i < 4; i++) {
      const { near, far } = await rig.pair();
      near.socket.end("abcdef");
      await far.ended;
      counts.push(far.bytes);
    }
    expect(counts).toEqual([2, 3, 1, 1]);
    rig.proxy.cancelCuts();
    const { near, far } = await rig.pair();
    near.socket.end("abcdef");
    await far.ended;
    expect(far.bytes).toBe(6);
  });

  it("counts from now for live connections", async () => {
    await using rig = await Rig.start();
    const [one, two] = [await rig.pair(), await rig.pair()];
    for (const { near, far } of [one, two]) {
      near.socket.write("12345");
      await far.got(5);
    }
    rig.proxy.cutAfter({ bytes: 2, direction: "up", how: "fin", which: "live" });
    rig.proxy.cancelCuts({ which: two.id });
    one.near.socket.write("abc");
    two.near.socket.write("abc");
    await one.far.ended;
    expect(one.far.received.toString()).toBe("12345ab");
    expect((await two.far.got(8)).toString()).toBe("12345abc");
    rig.proxy.cutAfter({ bytes: 0, direction: "down", how: "rst", which: two.id });
    expect(await two.near.closed).toBe("ECONNRESET");
  });
});

describe("refuse", () => {
  it("resets new connections and leaves the others alone", async () => {
    await using rig = await Rig.start();
    const { near, far } = await rig.pair();
    rig.proxy.refuse();
    const refused = await rig.visit();
    expect(await refused.closed).toBe("ECONNRESET");
    expect(rig.proxy.stats()).toMatchObject({ refused: 1, accepted: 1, live: 1 });
    near.socket.write("x");
    await far.got(1);
    rig.proxy.refuse(false);
    await rig.pair();
  });
});

describe("acceptAndStall", () => {
  it("holds new connections, and carries them when it ends", async () => {
    await using rig = await Rig.start();
    rig.proxy.acceptAndStall();
    const came = once(rig.proxy, "connection");
    const near = await rig.visit();
    near.socket.write("early");
    await came;
    await settled(() => rig.proxy.stats().up.bytesRead);
    expect(rig.proxy.connections).toMatchObject([{ state: "held", up: { phase: "waiting", bytesRead: 0 } }]);
    // Does not concern it.
    rig.proxy.refuse(false);
    expect(rig.proxy.connections[0]?.state).toBe("held");
    const accepted = rig.accept();
    rig.proxy.acceptAndStall(false);
    expect((await (await accepted).got(5)).toString()).toBe("early");
  });

  it.each(["fin", "rst"] as const)("can cut what it holds (%s)", async (how) => {
    await using rig = await Rig.start();
    rig.proxy.acceptAndStall();
    const came = once(rig.proxy, "connection");
    const near = await rig.visit();
    await came;
    expect(rig.proxy.cut({ how })).toBe(1);
    if (how === "fin") {
      await near.ended;
      near.socket.end();
    }
    expect(await near.closed).toBe(how === "rst" ? "ECONNRESET" : undefined);
    await until(() => rig.proxy.connections.length === 0);
  });
});
