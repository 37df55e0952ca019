import { resolveSessionOptions } from "@culvert/protocol";
import { expect, test } from "vitest";
import { Server } from "../src/index.ts";
import { ListenRate } from "../src/listen-rate.ts";
import { TokenBucket } from "../src/token-bucket.ts";
import { openSession, type RawSession } from "./support/raw-client.ts";

interface Listening {
  readonly id: number;
  readonly answer: string;
  /** The server does not listen any more. */
  readonly closed: Promise<unknown>;
}

/** Asks for a listener; the answer is "ready", or why there is none. */
function listen({ link }: RawSession): Promise<Listening> {
  return new Promise((resolve) => {
    const closed = new Promise((isClosed) => {
      const id = link.requestTunnel("tcp://127.0.0.1:0", "t", {
        onReady: () => resolve({ id, answer: "ready", closed }),
        onClosed: (answer) => {
          isClosed(answer);
          resolve({ id, answer, closed });
        },
      });
    });
  });
}

test("a bucket is full at first, and fills again up to its burst", () => {
  const bucket = new TokenBucket({ burst: 3, perSecond: 10 }, 0);
  const taken = (now: number): number => {
    let count = 0;
    while (bucket.take(now)) count += 1;
    return count;
  };
  expect([taken(0), taken(50), taken(100), taken(350), taken(60_000)]).toEqual([3, 0, 1, 2, 3]);
});

test("who goes on at once when refused is to be ended, after as many as useless frames", () => {
  const options = resolveSessionOptions({ maxTunnels: 100, maxGlitchesPerMinute: 60 });
  const rate = new ListenRate(options, 0);
  const faults = (now: number, count: number) => {
    const all = Array.from({ length: count }, () => rate.faultAt(now));
    return [undefined, "tunnel_limit", "too_many_glitches"].map(
      (fault) => all.filter((one) => one === fault).length,
    );
  };
  expect(faults(0, 170)).toEqual([100, 60, 10]);
  // Who waits is taken again.
  expect(faults(2000, 101)).toEqual([100, 1, 0]);
  expect(new ListenRate({ ...options, maxTunnels: 0 }, 0).faultAt(0)).toBeUndefined();
});

test("who asks for all at once gets them; who opens and closes them in a circle is ended", async () => {
  await using server = new Server({ port: 0, drainMs: 0 });
  await server.start();
  const session = await openSession(server.address?.url ?? "");
  const { link, client } = session;
  const answers: string[] = [];
  const circle = async (): Promise<void> => {
    const { id, answer, closed } = await listen(session);
    answers.push(answer);
    if (answer === "ready" && link.state !== "ended") link.closeTunnel(id);
    await closed;
  };
  const all = (): Promise<unknown> => Promise.allSettled(Array.from({ length: 256 }, circle));
  await all();
  expect(new Set(answers)).toEqual(new Set(["ready"]));
  await all();
  expect(answers).toContain("tunnel_limit");
  while (link.state !== "ended") await all();
  expect(await client.closed).toMatchObject({ reason: "too_many_glitches" });
  // A new session has a new count, as after a restart.
  const restarted = await openSession(server.address?.url ?? "");
  expect((await listen(restarted)).answer).toBe("ready");
  restarted.link.close();
});
