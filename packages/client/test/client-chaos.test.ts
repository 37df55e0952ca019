import { createHash, randomBytes } from "node:crypto";
import { ChaosPlan, ChaosProxy } from "@culvert/chaos";
import { describe, expect, it, onTestFinished } from "vitest";
import { QUICK, watchedClient } from "./support/clients.ts";
import { ScriptedServer } from "./support/scripted-server.ts";
import { echoed } from "./support/visitors.ts";

async function proxied(): Promise<{ server: ScriptedServer; proxy: ChaosProxy; url: string }> {
  const server = await ScriptedServer.start();
  const proxy = await ChaosProxy.start({ target: { host: "127.0.0.1", port: server.port }, seed: 1 });
  onTestFinished(() => proxy.close());
  return { server, proxy, url: `ws://127.0.0.1:${proxy.port}/` };
}

describe("over a bad network", () => {
  it("the handshake may come byte by byte", async () => {
    const { proxy, url } = await proxied();
    proxy.set({ up: { slice: { maxBytes: 1 } }, down: { slice: { maxBytes: 1 } } });
    const { client } = watchedClient({ server: url });
    await client.start();
    expect(client.stats().dials).toBe(1);
  });

  it("a handshake that breaks anywhere is made again", async () => {
    const { server, proxy, url } = await proxied();
    // Through the answer to the upgrade (about 170 bytes) and the WELCOME behind it (about 400), in both ways to break.
    const cuts = [1, 20, 100, 160, 180, 200, 300, 400];
    for (const bytes of cuts) {
      proxy.cutAfter({ bytes, direction: "down", how: bytes % 200 === 0 ? "fin" : "rst", which: "next" });
    }
    const { client, states } = watchedClient({ server: url });
    await client.start();
    expect(client.stats().dials).toBe(cuts.length + 1);
    expect(states.map(({ current }) => current)).toEqual(["connecting", "open"]);
    // A WELCOME that was lost: the server sees that it is the same client, and no other one.
    expect(new Set(server.arrivals.map(({ hello }) => hello.instance)).size).toBe(1);
  });

  it("a server that hangs is left after the connect time-out", async () => {
    const { proxy, url } = await proxied();
    proxy.acceptAndStall();
    const { client } = watchedClient({
      server: url,
      retry: { ...QUICK, connectTimeoutMs: 40, maxAttempts: 2 },
    });
    await expect(client.start()).rejects.toMatchObject({ code: "attempts_exhausted" });
    proxy.acceptAndStall(false);
    // With a time that is enough whatever the machine does besides.
    const patient = watchedClient({ server: url });
    await patient.client.start();
    expect(patient.client.stats().dials).toBe(1);
  });

  it("a black hole is found without traffic, and the session goes on over another transport", async () => {
    const { proxy, url } = await proxied();
    const { client, reaches, states } = watchedClient({
      server: url,
      session: { pingIntervalMs: 50, silenceMs: 1000 },
    });
    await client.start();
    const stream = client.dial("a:1");
    await echoed(stream, "before");
    proxy.set({ down: "blackhole" });
    await reaches("detached");
    expect(states.at(-1)?.cause?.code).toBe("peer_silent");
    proxy.set({ down: "pass" });
    await reaches("open");
    expect(await echoed(stream, "after")).toBe("after");
    expect(client.stats()).toMatchObject({ sessions: 1 });
  });

  it("bytes arrive once and in order however often the transport breaks, both ways at once", async () => {
    const { proxy, url } = await proxied();
    const { client } = watchedClient({ server: url });
    await client.start();
    const stream = client.dial("a:1");
    const sent = randomBytes(4 * 1024 * 1024);
    const received = createHash("sha256");
    let count = 0;
    stream.on("data", (chunk: Buffer) => {
      received.update(chunk);
      count += chunk.length;
    });
    const whole = new Promise((resolve, reject) => {
      stream.once("end", resolve);
      stream.once("error", reject);
    });
    proxy.set({ up: { bytesPerSecond: 20_000_000 }, down: { bytesPerSecond: 20_000_000 } });
    const plan = ChaosPlan.random(7, {
      count: 12,
      kinds: ["rst", "fin", "cutAfter", "refuse", "stall"],
      gapMs: [10, 40],
      forMs: [10, 40],
    });
    const report = proxy.run(plan);
    stream.end(sent);
    await Promise.all([whole, report]);
    expect(count).toBe(sent.length);
    expect(received.digest("hex")).toBe(createHash("sha256").update(sent).digest("hex"));
    const stats = client.stats();
    expect(stats.sessions).toBe(1);
    expect(stats.dials).toBeGreaterThan(4);
  });
});
