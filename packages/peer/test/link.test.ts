import { CulvertError, resolveSessionOptions } from "@culvert/protocol";
import { afterEach, expect, test, vi } from "vitest";
import { Link } from "../src/link.ts";
import { silentLogger } from "../src/logger.ts";
import type { Transport } from "../src/transport.ts";
import { linkPair } from "./support/link-pair.ts";

afterEach(() => {
  vi.useRealTimers();
});

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test.each([
  ["attached", (): void => undefined],
  ["detached", (pair: ReturnType<typeof linkPair>): void => pair.cut()],
])(
  "a link that ends while %s leaves no timer behind, which would keep a process alive",
  async (_when, prepare) => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
    const pair = linkPair();
    const { client, server } = pair;
    server.onStream = (incoming) => incoming.refuse("target_refused");
    client.openStream({ kind: "tcp" }, { onData: turn, onEnd: turn, onReset: turn });
    for (let n = 0; n < 10; n += 1) await turn();
    prepare(pair);
    expect(vi.getTimerCount()).toBeGreaterThan(0);
    client.close();
    server.close();
    for (let n = 0; n < 10; n += 1) await turn();
    expect(vi.getTimerCount()).toBe(0);
  },
);

/** A transport that takes everything and brings nothing by itself. */
function mute(): Transport {
  const nothing = (): void => undefined;
  const bytes = { highWaterBytes: 1e6, bufferedBytes: 0 };
  return {
    handler: undefined,
    ...bytes,
    send: nothing,
    cork: nothing,
    uncork: nothing,
    close: nothing,
    terminate: nothing,
  };
}

/** A link that has just been attached to a mute transport, and finds it dead after 1 s; all clocks are fake. */
function watchedLink() {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setImmediate", "performance"] });
  const session = resolveSessionOptions({ pingIntervalMs: 600, silenceMs: 1000 });
  const link = new Link({ role: "client", session, peerLimits: session, logger: silentLogger });
  const transport = mute();
  const detached = vi.fn();
  link.onDetached = detached;
  link.attach(transport, 0);
  return { link, transport, detached };
}

test("what is read a turn after the time was over is heard before silence is judged", () => {
  const { link, transport, detached } = watchedLink();
  vi.advanceTimersByTime(999); // pings have left: nobody forgot to ask
  // Behind the timer of the link: the turn in which that came read something else, and took long.
  setTimeout(() => setImmediate(() => transport.handler?.onHeard()), 1);
  vi.advanceTimersByTime(900);
  expect(detached).not.toHaveBeenCalled();
  vi.advanceTimersByTime(200);
  expect(detached).toHaveBeenCalledTimes(1);
  link.fail(new CulvertError("closed"));
});

test("a standstill between the two looks before a judgement is followed by another look", () => {
  const { link, transport, detached } = watchedLink();
  vi.advanceTimersByTime(999);
  const clock = performance.now.bind(performance);
  let stoodStillMs = 0;
  vi.spyOn(performance, "now").mockImplementation(() => clock() + stoodStillMs);
  // In the turn behind the first look; what came meanwhile is read in the next one.
  setTimeout(() => {
    setImmediate(() => {
      stoodStillMs = 500;
      setImmediate(() => transport.handler?.onHeard());
    });
  }, 1);
  vi.advanceTimersByTime(100);
  expect(detached).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1000);
  expect(detached).toHaveBeenCalledTimes(1);
  vi.restoreAllMocks();
  link.fail(new CulvertError("closed"));
});
