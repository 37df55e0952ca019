import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MuteListener } from "../support/mute-listener.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { Service } from "../support/service.ts";
import { MODES, TunnelFixture } from "../support/tunnel-fixture.ts";
import { endingAt, WireEnd } from "../support/wire-end.ts";
import { IS_FULL_LENGTH } from "./support/scale.ts";

/** Fewer than a peer may have pending, more than anybody dials by accident. */
const OPENS = 1000;
/** Long enough that a machine which is busy serves somebody meanwhile. */
const DIAL_TIMEOUT_MS = IS_FULL_LENGTH ? 10_000 : 6000;

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

describe.each(MODES)("%s: a target that answers nobody", (mode) => {
  it(`${OPENS} dials to it delay no other one, and each is given up at its limit`, {
    timeout: 120_000,
  }, async () => {
    await using mute = await MuteListener.start();
    await using service = await Service.echo();
    const side = { dialTimeoutMs: DIAL_TIMEOUT_MS };
    await using fixture = await TunnelFixture.start({ server: side, client: side });
    const dead = await fixture.open(mode, mute.address);
    const good = await fixture.open(mode, service.address);
    let over = 0;
    const endings = Array.from({ length: OPENS }, async () => {
      const ending = await endingAt(dead.address);
      over += 1;
      return ending;
    });
    for (let n = 0; n < 20; n += 1) {
      const visitor = await WireEnd.connect(good.address);
      expect(await visitor.ask(`beside ${OPENS}`)).toBe(`beside ${OPENS}`);
      visitor.socket.end();
      expect(await visitor.closed()).toBe("end");
    }
    // All of these were served while others still waited.
    expect(over).toBeLessThan(OPENS);
    expect(new Set(await Promise.all(endings))).toEqual(new Set(["ECONNRESET"]));
    await fixture.quiet();
    expect(fixture.states.path).toEqual(["connecting", "open"]);
  });
});
