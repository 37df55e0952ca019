import { once } from "node:events";
import process from "node:process";
import { ChaosProxy } from "@culvert/chaos";
import { describe, expect, test } from "vitest";
import { CutByProgress } from "./support/cut-by-progress.ts";
import { MemoryWatch, MIB, mib } from "./support/process-figures.ts";
import { RandomBytes } from "./support/random-bytes.ts";
import { dial, receive, Service, send } from "./support/sockets.ts";
import { MODES, TunnelRig } from "./support/tunnel-rig.ts";

const TRANSFER_BYTES = Number(process.env.CULVERT_E2E_BYTES ?? 1024 * MIB);
const MAX_RSS_BYTES = 200 * MIB;
const SEED = Number(process.env.CULVERT_E2E_SEED ?? 20);

/** Black holes are found soon, and the waits between dials stay short, so that there is time for many cuts. */
const LINK_FLAGS = ["--ping-interval", "300ms", "--silence-timeout", "1500ms"];
const DIAL_FLAGS = ["--retry-base", "50ms", "--retry-resume-cap", "200ms"];

describe.each(MODES)("%s, cut again and again", (mode) => {
  test("carries random bytes up and down at once, each of them once", async () => {
    const up = new RandomBytes(SEED, TRANSFER_BYTES);
    const down = new RandomBytes(SEED + 1, TRANSFER_BYTES);
    let carriedBytes = 0;
    const count = (bytes: number): void => {
      carriedBytes += bytes;
    };

    const atService = Promise.withResolvers<Awaited<ReturnType<typeof receive>>>();
    await using service = await Service.start((socket) => {
      receive(socket, count).then(atService.resolve, atService.reject);
      void send(socket, down).then(() => socket.end(), atService.reject);
    });
    let proxy: ChaosProxy | undefined;
    await using rig = await TunnelRig.open(mode, service.port, {
      serverFlags: LINK_FLAGS,
      clientFlags: [...LINK_FLAGS, ...DIAL_FLAGS],
      via: async (port) => {
        proxy = await ChaosProxy.start({ target: { host: "127.0.0.1", port }, seed: SEED });
        return proxy.port;
      },
    });
    await using chaos = proxy!;
    using memory = new MemoryWatch(rig.server, rig.client);
    using cuts = new CutByProgress(chaos, SEED, () => carriedBytes / (2 * TRANSFER_BYTES));
    const startedAt = performance.now();

    using visitor = await dial(rig.port);
    const atVisitor = receive(visitor, count);
    const sent = send(visitor, up).then(() => visitor.end());
    const [toService, toVisitor] = await Promise.all([atService.promise, atVisitor, sent]);
    const elapsedMs = performance.now() - startedAt;

    expect(toService).toEqual({ bytes: TRANSFER_BYTES, sha256: up.sha256() });
    expect(toVisitor).toEqual({ bytes: TRANSFER_BYTES, sha256: down.sha256() });
    if (!visitor.closed) await once(visitor, "close");
    expect(cuts.done.length, cuts.text).toBeGreaterThanOrEqual(20);
    expect(cuts.done.filter(({ kind }) => kind === "in a frame").length).toBeGreaterThanOrEqual(5);
    expect(cuts.done.filter(({ kind }) => kind === "black hole").length).toBeGreaterThanOrEqual(5);
    const link = await rig.client.sessionReport();
    expect(link.resumes).toBeGreaterThanOrEqual(20);
    console.log(
      `${mode}: ${mib(TRANSFER_BYTES)} each way in ${(elapsedMs / 1000).toFixed(1)} s, ${cuts.text}; ` +
        `${link.resumes} resumes, ${mib(link.replayedBytes)} replayed; ` +
        `at most ${memory.text} (${memory.samples} samples)`,
    );
    expect(memory.peakBytes).toBeLessThan(MAX_RSS_BYTES);
  });
});
