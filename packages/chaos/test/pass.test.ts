import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { ChaosProxy } from "../src/index.ts";
import { Rig, random, settled, until } from "./rig.ts";

const MIB = 1024 * 1024;

describe("a proxy without a fault", () => {
  it("carries every byte, both ways at once", async () => {
    await using rig = await Rig.start();
    const { near, far } = await rig.pair();
    const [up, down] = [random(16 * MIB), random(16 * MIB)];
    near.socket.end(up);
    far.socket.end(down);
    await Promise.all([near.ended, far.ended]);
    expect(far.received.equals(up)).toBe(true);
    expect(near.received.equals(down)).toBe(true);
    expect(await near.closed).toBeUndefined();
    expect(await far.closed).toBeUndefined();
    await settled(() => rig.proxy.connections.length);
    const stats = rig.proxy.stats();
    expect(stats.up).toMatchObject({ bytesRead: up.length, bytesForwarded: up.length, bytesDropped: 0 });
    expect(stats.down.bytesForwarded).toBe(down.length);
  });

  it("passes on a half-close of the visitor and still carries the answer", async () => {
    await using rig = await Rig.start();
    const { near, far } = await rig.pair();
    near.socket.end("question");
    await far.ended;
    expect(far.received.toString()).toBe("question");
    expect(near.sawEnd).toBe(false);
    const answer = random(4 * MIB);
    far.socket.end(answer);
    await near.ended;
    expect(near.received.equals(answer)).toBe(true);
    expect([await near.closed, await far.closed]).toEqual([undefined, undefined]);
  });

  it("passes on a half-close of the target, with no byte at all", async () => {
    await using rig = await Rig.start();
    const { near, far } = await rig.pair();
    far.socket.end();
    await near.ended;
    const rest = random(MIB);
    near.socket.end(rest);
    await far.ended;
    expect(far.received.equals(rest)).toBe(true);
  });

  it.each(["near", "far"] as const)(
    "passes on a reset of the %s end, also one that follows data",
    async (who) => {
      await using rig = await Rig.start();
      for (const bytes of [0, 10]) {
        const pair = await rig.pair();
        const [from, to] = who === "near" ? [pair.near, pair.far] : [pair.far, pair.near];
        if (bytes > 0) from.socket.write(random(bytes));
        from.socket.resetAndDestroy();
        expect(await to.closed).toBe("ECONNRESET");
        expect(to.sawEnd).toBe(false);
      }
    },
  );

  it("passes on a reset that follows an end", async () => {
    await using rig = await Rig.start();
    const { near, far } = await rig.pair();
    near.socket.end("x");
    await far.ended;
    near.socket.resetAndDestroy();
    // Only a write shows the proxy that the visitor is gone.
    const push = setInterval(() => far.socket.write("y"), 5);
    expect(["ECONNRESET", "EPIPE"]).toContain(await far.closed);
    clearInterval(push);
  });

  it("keeps back pressure in both directions", async () => {
    await using rig = await Rig.start();
    const { near, far } = await rig.pair();
    const bytes = random(64 * MIB);
    for (const [from, to, way] of [
      [near, far, "up"],
      [far, near, "down"],
    ] as const) {
      to.socket.pause();
      from.socket.write(bytes);
      const read = await settled(() => rig.proxy.stats()[way].bytesRead);
      // What the kernels hold is not the proxy's; what it holds itself is a socket's buffer.
      expect(read).toBeLessThan(32 * MIB);
      to.socket.resume();
      expect((await to.got(bytes.length)).equals(bytes)).toBe(true);
    }
  });

  it("carries many connections at once", async () => {
    await using rig = await Rig.start();
    const pairs: Awaited<ReturnType<Rig["pair"]>>[] = [];
    for (let i = 0; i < 50; i++) pairs.push(await rig.pair());
    expect(rig.proxy.connections.map(({ id, state }) => `${id} ${state}`)).toEqual(
      pairs.map(({ id }) => `${id} open`),
    );
    await Promise.all(
      pairs.map(async ({ near, far }) => {
        const bytes = random(100_000);
        near.socket.end(bytes);
        await far.ended;
        far.socket.end();
        expect(far.received.equals(bytes)).toBe(true);
      }),
    );
  });

  it("resets the visitor when the target refuses", async () => {
    await using rig = await Rig.start();
    await rig.closeTarget();
    const failed = once(rig.proxy, "dialFailed");
    const near = await rig.visit();
    expect((await failed)[1]).toMatchObject({ code: "ECONNREFUSED" });
    expect(await near.closed).toBe("ECONNRESET");
    expect(rig.proxy.stats().dialFailed).toBe(1);
  });

  it("says what is wrong with its options, and what the system says", async () => {
    const target = { host: "127.0.0.1", port: 1 };
    await expect(ChaosProxy.start({ target, seed: -1 })).rejects.toThrow("seed");
    await expect(ChaosProxy.start({ target, port: 70_000 })).rejects.toThrow("port");
    await expect(ChaosProxy.start({ target, prot: 1 } as never)).rejects.toThrow('no option "prot"');
    await using first = await ChaosProxy.start({ target });
    await expect(ChaosProxy.start({ target, port: first.port })).rejects.toMatchObject({
      code: "EADDRINUSE",
    });
  });

  it("tells its log what it does", async () => {
    const lines: string[] = [];
    {
      await using rig = await Rig.start({ log: { debug: (_fields, message) => lines.push(message) } });
      await rig.pair();
      rig.proxy.cut({ how: "rst" });
    }
    expect(lines).toEqual(["chaos proxy listens", "connection cut", "chaos proxy closed"]);
  });
});

describe("close", () => {
  const active = (kind: string) =>
    process.getActiveResourcesInfo().filter((name) => name.startsWith(kind)).length;
  const tcp = () => active("TCP");
  const timers = () => active("Timeout");

  it("leaves no socket and no timer, in whatever state they are", async () => {
    const [before, timersBefore] = [tcp(), timers()];
    const rig = await Rig.start();
    const { near, far } = await rig.pair();
    await rig.pair();
    near.socket.write(random(MIB));
    rig.proxy.set({ up: { delayMs: 60_000 }, down: "blackhole" });
    far.socket.write(random(MIB));
    rig.proxy.cutAfter({ bytes: 5, direction: "up", how: "fin", which: "each" });
    rig.proxy.acceptAndStall();
    const held = once(rig.proxy, "connection");
    await rig.visit();
    await held;
    rig.proxy.cut({ how: "fin", which: 2 });
    const over = rig.proxy.close();
    expect(rig.proxy.close()).toBe(over);
    await over;
    expect(rig.proxy.connections).toEqual([]);
    await rig[Symbol.asyncDispose]();
    await until(() => tcp() <= before && timers() <= timersBefore);
  });

  it("frees the port", async () => {
    const target = { host: "127.0.0.1", port: 1 };
    const first = await ChaosProxy.start({ target });
    await first.close();
    await using second = await ChaosProxy.start({ target, port: first.port });
    expect(second.port).toBe(first.port);
  });

  it("can be called while a visitor arrives", async () => {
    const rig = await Rig.start();
    const visit = rig.visit();
    await rig.proxy.close();
    await (await visit).closed;
    await rig[Symbol.asyncDispose]();
  });
});
