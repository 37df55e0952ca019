import { afterEach, expect, test, vi } from "vitest";
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
