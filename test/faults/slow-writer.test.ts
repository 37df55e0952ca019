import { CONNECT, LISTEN } from "@culvert/client";
import { afterEach, beforeEach, expect, it } from "vitest";
import { until } from "../support/deadline.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { Service } from "../support/service.ts";
import { WireEnd } from "../support/wire-end.ts";
import { framed } from "./support/framed.ts";
import { IS_FULL_LENGTH } from "./support/scale.ts";

/** One byte each: a second apart for ten minutes, or many in a few seconds, which is harder. */
const [BYTES, APART_MS] = IS_FULL_LENGTH ? [600, 1000] : [400, 5];
/** No acknowledgement of so little is sent sooner than this after what it acknowledges. */
const ACK_DELAY_MS = 25;

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

it.each([
  [CONNECT, "down"],
  [LISTEN, "up"],
] as const)(
  "%s: a visitor who sends single bytes is carried, without an acknowledgement for each",
  {
    timeout: BYTES * APART_MS + 60_000,
  },
  async (mode, back) => {
    await using service = await Service.start();
    await using link = await framed();
    const tunnel = await link.fixture.open(mode, service.address);
    const visitor = await WireEnd.connect(tunnel.address);
    const target = await service.next();
    const acks = link.proxy.count(back, "ack");
    const since = performance.now();
    let written = 0;
    const writing = setInterval(() => {
      visitor.socket.write(String(written % 10));
      written += 1;
      if (written === BYTES) clearInterval(writing);
    }, APART_MS);
    await until(() => target.received === BYTES, "all bytes", BYTES * APART_MS + 30_000);
    const elapsedMs = performance.now() - since;
    expect(target.text).toBe(Array.from({ length: BYTES }, (_, n) => n % 10).join(""));
    // Those of keepalive and of what was before may come between.
    expect(link.proxy.count(back, "ack") - acks).toBeLessThanOrEqual(elapsedMs / ACK_DELAY_MS + 5);
    visitor.socket.end();
    expect(await target.ended()).toBe("end");
    target.socket.end();
    await link.fixture.quiet();
    expect(link.fixture.states.path).toEqual(["connecting", "open"]);
  },
);
