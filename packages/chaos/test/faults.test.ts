import { describe, expect, it } from "vitest";
import { MAX_QUEUE_BYTES } from "../src/fault.ts";
import { Rig, random, settled, turn, until } from "./rig.ts";

const MIB = 1024 * 1024;

describe("stall", () => {
  it("holds one direction, then loses nothing", async () => {
    await using rig = await Rig.start();
    const { near, far } = await rig.pair();
    rig.proxy.set({ up: "stall" });
    const bytes = random(8 * MIB);
    near.socket.end(bytes);
    far.socket.write("down goes on");
    await near.got(12);
    expect(await settled(() => far.bytes)).toBe(0);
    expect(far.sawEnd).toBe(false);
    expect(rig.proxy.connections[0]?.up).toMatchObject({ fault: "stall", bytesForwarded: 0 });
    rig.proxy.set({ up: "pass" });
    await far.ended;
    expect(far.received.equals(bytes)).toBe(true);
  });

  it("holds a reset too", async () => {
    await using rig = await Rig.start();
    const { near, far } = await rig.pair();
    rig.proxy.pause();
    near.socket.resetAndDestroy();
    await near.closed;
    await settled(() => far.bytes);
    expect(far.socket.destroyed).toBe(false);
    rig.proxy.resume();
    expect(await far.closed).toBe("ECONNRESET");
  });

  it("holds connections that come later", async () => {
    await using rig = await Rig.start();
    rig.proxy.pause();
    const { near, far } = await rig.pair();
    near.socket.write("hello");
    far.socket.write("world");
    await settled(() => near.bytes + far.bytes);
    expect([near.bytes, far.bytes]).toEqual([0, 0]);
    rig.proxy.resume();
    expect((await far.got(5)).toString()).toBe("hello");
    expect((await near.got(5)).toString()).toBe("world");
  });

  it("lies over what is set", async () => {
    await using rig = await Rig.start();
    rig.proxy.pause();
    rig.proxy.set({ up: { delayMs: 7 } });
    expect(rig.proxy.faults).toEqual({ up: "stall", down: "stall" });
    rig.proxy.resume();
    expect(rig.proxy.faults).toEqual({ up: { delayMs: 7 }, down: "pass" });
  });

  it("can come and go hundreds of times in a transfer", async () => {
    await using rig = await Rig.start();
    const { near, far } = await rig.pair();
    const bytes = random(32 * MIB);
    near.socket.end(bytes);
    for (let i = 0; i < 300 && !far.sawEnd; i++) {
      rig.proxy.pause();
      await turn();
      rig.proxy.resume();
      await turn();
    }
    await far.ended;
    expect(far.received.equals(bytes)).toBe(true);
  });
});

describe("blackhole", () => {
  it("swallows one direction and keeps both sockets", async () => {
    await using rig = await Rig.start();
    const { near, far } = await rig.pair();
    rig.proxy.set({ down: "blackhole" });
    far.socket.write(random(8 * MIB));
    near.socket.write("up goes on");
    await far.got(10);
    await until(() => rig.proxy.stats().down.bytesDropped === 8 * MIB);
    expect([near.bytes, near.socket.destroyed, far.socket.destroyed]).toEqual([0, false, false]);
  });

  it("is for good where something was lost, and only there", async () => {
    await using rig = await Rig.start();
    const lost = await rig.pair();
    const spared = await rig.pair();
    rig.proxy.set({ up: "blackhole" });
    lost.near.socket.write("lost");
    await until(() => rig.proxy.stats().up.bytesDropped === 4);
    rig.proxy.set({ up: "pass" });
    lost.near.socket.write("never");
    spared.near.socket.write("fine");
    expect((await spared.far.got(4)).toString()).toBe("fine");
    await until(() => rig.proxy.stats().up.bytesDropped === 9);
    expect(lost.far.bytes).toBe(0);
  });

  it("swallows ends and resets", async () => {
    await using rig = await Rig.start();
    const pairs = [await rig.pair(), await rig.pair()] as const;
    rig.proxy.set({ up: "blackhole" });
    pairs[0].near.socket.end();
    pairs[1].near.socket.resetAndDestroy();
    await pairs[1].near.closed;
    await settled(() => rig.proxy.stats().up.bytesDropped);
    expect(pairs.map(({ far }) => far.sawEnd || far.socket.destroyed)).toEqual([false, false]);
    // When the far end has given up as well nobody is left to wait for.
    for (const { far } of pairs) far.socket.end();
    await until(() => rig.proxy.connections.length === 0);
  });

  it("swallows what a delay still held", async () => {
    await using rig = await Rig.start();
    const { near, far } = await rig.pair();
    rig.proxy.set({ up: { delayMs: 60_000 } });
    near.socket.end("held");
    await until(() => rig.proxy.stats().up.bytesHeld === 4);
    rig.proxy.set({ up: "blackhole" });
    expect(rig.proxy.stats().up).toMatchObject({ bytesHeld: 0, bytesDropped: 4 });
    rig.proxy.set({ up: "pass" });
    await settled(() => far.bytes);
    expect([far.bytes, far.sawEnd]).toEqual([0, false]);
  });
});

describe("delay", () => {
  it("holds each byte at least as long as it says, and the end too", async () => {
    await using rig = await Rig.start();
    rig.proxy.set({ up: { delayMs: 200 } });
    const { near, far } = await rig.pair();
    const startedAt = performance.now();
    near.socket.end("late");
    await far.got(4);
    expect(performance.now() - startedAt).toBeGreaterThan(190);
    await far.ended;
    expect(far.received.toString()).toBe("late");
  });

  it("keeps the order under jitter", async () => {
    await using rig = await Rig.start();
    rig.proxy.set({ up: { delayMs: 10, jitterMs: 10 }, down: { delayMs: 5, jitterMs: 20 } });
    const { near, far } = await rig.pair();
    const text = Array.from({ length: 300 }, (_, i) => `${i};`);
    for (const word of text) {
      near.socket.write(word);
      far.socket.write(word);
      await turn();
    }
    near.socket.end();
    far.socket.end();
    await Promise.all([near.ended, far.ended]);
    expect(far.received.toString()).toBe(text.join(""));
    expect(near.received.toString()).toBe(text.join(""));
  });

  it("holds a bounded amount, pushes back beyond it, and lets go when it is lifted", async () => {
    await using rig = await Rig.start();
    rig.proxy.set({ up: { delayMs: 600_000 } });
    const { near, far } = await rig.pair();
    const bytes = random(64 * MIB);
    near.socket.end(bytes);
    await until(() => rig.proxy.stats().up.bytesHeld > 12.5e6);
    const held = await settled(() => rig.proxy.stats().up.bytesHeld);
    expect(held).toBeLessThan(MAX_QUEUE_BYTES + 2 * MIB);
    expect(far.bytes).toBe(0);
    rig.proxy.set({ up: "pass" });
    await far.ended;
    expect(far.received.equals(bytes)).toBe(true);
  });
});

describe("bytesPerSecond", () => {
  it("takes at least the time that the rate says", async () => {
    await using rig = await Rig.start();
    rig.proxy.set({ up: { bytesPerSecond: 200_000 } });
    const { near, far } = await rig.pair();
    const bytes = random(100_000);
    const startedAt = performance.now();
    near.socket.end(bytes);
    await far.ended;
    expect(performance.now() - startedAt).toBeGreaterThan(400);
    expect(far.received.equals(bytes)).toBe(true);
  });

  it("leaves what does not fit to its sender", async () => {
    await using rig = await Rig.start();
    rig.proxy.set({ up: { bytesPerSecond: 1_000 } });
    const { near } = await rig.pair();
    near.socket.write(random(32 * MIB));
    await settled(() => Math.floor(near.socket.bytesWritten));
    expect(rig.proxy.stats().up.bytesHeld).toBeLessThan(2 * 65_536);
  });
});

describe("slice", () => {
  it("gives the reader single bytes", async () => {
    await using rig = await Rig.start();
    rig.proxy.set({ up: { slice: { maxBytes: 1 } } });
    const { near, far } = await rig.pair();
    const bytes = random(2_000);
    near.socket.end(bytes);
    await far.ended;
    expect(far.received.equals(bytes)).toBe(true);
    expect(far.chunks.length).toBeGreaterThan(200);
  });

  it("draws the sizes, waits between them, and keeps every byte", async () => {
    await using rig = await Rig.start();
    rig.proxy.set({ down: { slice: { maxBytes: 40, minBytes: 3, gapMs: 1 } } });
    const { near, far } = await rig.pair();
    const bytes = random(1_000);
    far.socket.end(bytes);
    await near.ended;
    expect(near.received.equals(bytes)).toBe(true);
    expect(near.chunks.length).toBeGreaterThan(10);
    expect(new Set(near.chunks).size).toBeGreaterThan(3);
  });
});

describe("coalesceMs", () => {
  it("gathers many small writes", async () => {
    await using rig = await Rig.start();
    rig.proxy.set({ up: { coalesceMs: 500 } });
    const { near, far } = await rig.pair();
    const bytes = random(100);
    for (const byte of bytes) {
      near.socket.write(Uint8Array.of(byte));
      await turn();
    }
    near.socket.end();
    await far.ended;
    expect(far.received.equals(bytes)).toBe(true);
    expect(far.chunks.length).toBeLessThan(20);
  });
});

describe("flipBit", () => {
  const differences = (a: Buffer, b: Buffer): string[] =>
    [...a.keys()].filter((i) => a[i] !== b[i]).map((i) => `${i}:${bits((a[i] ?? 0) ^ (b[i] ?? 0))}`);
  const bits = (byte: number): number => byte.toString(2).replaceAll("0", "").length;

  it("turns over one bit in every n-th byte, whatever the reads were", async () => {
    await using rig = await Rig.start();
    rig.proxy.set({ up: { flipBit: { everyBytes: 1_000 }, slice: { maxBytes: 700, minBytes: 1 } } });
    const { near, far } = await rig.pair();
    const bytes = random(10_500);
    near.socket.end(bytes);
    await far.ended;
    const expected = Array.from({ length: 10 }, (_, i) => `${i * 1_000 + 999}:1`);
    expect(differences(bytes, far.received)).toEqual(expected);
    expect(rig.proxy.stats().up.bitsFlipped).toBe(10);
  });

  it.each([0, 1, 777])("turns over one bit of byte %i of each connection", async (atByte) => {
    await using rig = await Rig.start();
    rig.proxy.set({ down: { flipBit: { atByte } } });
    for (let i = 0; i < 2; i++) {
      const { near, far } = await rig.pair();
      const bytes = random(1_000);
      far.socket.write(bytes.subarray(0, 300));
      await turn();
      far.socket.end(bytes.subarray(300));
      await near.ended;
      expect(differences(bytes, near.received)).toEqual([`${atByte}:1`]);
    }
  });

  it("flips the same bits again with the same seed", async () => {
    const bytes = random(5_000);
    const once = async (seed: number): Promise<Buffer> => {
      await using rig = await Rig.start({ seed });
      rig.proxy.set({ up: { flipBit: { everyBytes: 10 } } });
      const { near, far } = await rig.pair();
      near.socket.end(bytes);
      await far.ended;
      return far.received;
    };
    const first = await once(5);
    expect(first.equals(await once(5))).toBe(true);
    expect(first.equals(await once(6))).toBe(false);
  });
});

describe("set", () => {
  it("carries every byte while faults change all the time", async () => {
    await using rig = await Rig.start();
    const { near, far } = await rig.pair();
    const [up, down] = [random(6 * MIB), random(6 * MIB)];
    near.socket.end(up);
    far.socket.end(down);
    const faults = [
      { delayMs: 20, jitterMs: 20 },
      "stall",
      { slice: { maxBytes: 5_000, minBytes: 1 } },
      { coalesceMs: 10 },
      "pass",
      { bytesPerSecond: 20_000_000, delayMs: 2 },
    ] as const;
    for (let i = 0; !near.sawEnd || !far.sawEnd; i++) {
      rig.proxy.set({ up: faults[i % 6] ?? "pass", down: faults[(i * 5 + 1) % 6] ?? "pass" });
      for (let j = 0; j < 20; j++) await turn();
    }
    expect(far.received.equals(up)).toBe(true);
    expect(near.received.equals(down)).toBe(true);
  });

  it("changes nothing if one of two faults is bad", async () => {
    await using rig = await Rig.start();
    expect(() => rig.proxy.set({ up: "stall", down: { delayMs: -1 } })).toThrow(RangeError);
    expect(() => rig.proxy.set({ upp: "stall" } as never)).toThrow('no option "upp"');
    expect(rig.proxy.faults).toEqual({ up: "pass", down: "pass" });
  });
});
