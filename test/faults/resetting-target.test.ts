import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { OpenHandles } from "../support/open-handles.ts";
import { SeededSink } from "../support/seeded-sink.ts";
import { SeededSource } from "../support/seeded-source.ts";
import { Service } from "../support/service.ts";
import { MODES, TunnelFixture } from "../support/tunnel-fixture.ts";
import { WireEnd } from "../support/wire-end.ts";

const MEGABYTE = 1024 * 1024;
/** After so many bytes of its answer the target breaks. */
const OFFSETS = [0, 1, 100, 9000, 70_000, 300_000, MEGABYTE, 5 * MEGABYTE];

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

describe.each(MODES)("%s: a target that resets in the middle of its answer", (mode) => {
  it.each([
    ["over a link that stays", false],
    ["over a link that is cut at the same moment", true],
  ] as const)("%s: the visitor is reset, and has a true beginning of it", async (_name, isCut) => {
    await using service = await Service.start();
    await using fixture = await TunnelFixture.start({ seed: 5 });
    const tunnel = await fixture.open(mode, service.address);
    for (const [n, offset] of OFFSETS.entries()) {
      const visitor = await WireEnd.connect(tunnel.address);
      visitor.keepsNothing();
      const sink = new SeededSink(visitor.socket, n);
      const target = await service.next();
      new SeededSource(target.socket, n);
      if (offset > 0) await visitor.read(offset);
      const { resumes } = fixture;
      target.reset();
      if (isCut) fixture.proxy.cut({ how: "rst" });
      // Every byte that it got was right, and none of these is a clean end.
      await expect(sink.whole).rejects.toThrow("broken after");
      expect(await visitor.closed()).toBe("ECONNRESET");
      await fixture.quiet();
      if (isCut) expect(fixture.resumes).toBe(resumes + 1);
    }
    expect(fixture.sessions).toBe(1);
  });
});
