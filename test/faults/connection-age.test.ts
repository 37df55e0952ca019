import { afterEach, beforeEach, expect, it } from "vitest";
import { OpenHandles } from "../support/open-handles.ts";
import { TunnelFixture } from "../support/tunnel-fixture.ts";
import { IS_FULL_LENGTH, patienceFor, SCALED_RETRY, SCALED_SESSION, scaled } from "./support/scale.ts";
import { StandingLoad } from "./support/standing-load.ts";

const LINE = { bytesPerSecond: 10_000_000 };
/** Some proxies let no connection live longer than this, however busy it is. */
const MAX_AGE_MS = 60_000;
const TIMES = IS_FULL_LENGTH ? 10 : 3;

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

it("a proxy that ends each connection at a certain age costs a resume each time, and nothing else", {
  timeout: (TIMES + 1) * patienceFor(MAX_AGE_MS),
}, async () => {
  const session = SCALED_SESSION;
  await using fixture = await TunnelFixture.start({
    seed: 13,
    server: { session },
    client: { session, retry: SCALED_RETRY },
  });
  const { proxy } = fixture;
  proxy.set({ up: LINE, down: LINE });
  await using load = await StandingLoad.start((mode, connect) => fixture.open(mode, connect), 13);
  for (let times = 1; times <= TIMES; times += 1) {
    await proxy.run([{ kind: "fin", gapMs: scaled(MAX_AGE_MS) }]);
    await fixture.states.entered("open", times + 1, patienceFor(20_000));
    await load.moves();
  }
  await load.settle();
  expect(fixture.resumes).toBe(TIMES);
  expect(fixture.sessions).toBe(1);
  await fixture.quiet();
});
