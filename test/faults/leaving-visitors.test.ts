import { connect } from "node:net";
import { parseEndpoint } from "@culvert/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../support/deadline.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { Service } from "../support/service.ts";
import { MODES, TunnelFixture } from "../support/tunnel-fixture.ts";
import { WireEnd } from "../support/wire-end.ts";

const VISITORS = 500;

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

/** How a visitor leaves who has only just come. */
const WAYS = [
  ["ends", (socket: ReturnType<typeof connect>) => void socket.end()],
  ["resets", (socket: ReturnType<typeof connect>) => void socket.resetAndDestroy()],
  ["says something and ends", (socket: ReturnType<typeof connect>) => void socket.end("bye")],
  [
    "says something and resets",
    (socket: ReturnType<typeof connect>) => void socket.write("bye", () => socket.resetAndDestroy()),
  ],
] as const;

describe.each(MODES)("%s: visitors who connect and leave at once", (mode) => {
  it.each(WAYS)(
    `${VISITORS} visitors, each of whom %s: nothing is left of them at either end`,
    async (_name, leave) => {
      await using service = await Service.echo();
      service.forgets();
      await using fixture = await TunnelFixture.start();
      const tunnel = await fixture.open(mode, service.address);
      const { port } = parseEndpoint(tunnel.address ?? "") as { readonly port: number };
      const gone = Array.from(
        { length: VISITORS },
        () =>
          new Promise<void>((resolve) => {
            const socket = connect(port, "127.0.0.1");
            socket.on("error", () => undefined).resume();
            socket.once("connect", () => leave(socket));
            socket.once("close", () => resolve());
          }),
      );
      await Promise.all(gone);
      await fixture.quiet();
      await until(() => service.open === 0, "the target has no connection left");
      const visitor = await WireEnd.connect(tunnel.address);
      expect(await visitor.ask("the next one")).toBe("the next one");
      visitor.socket.destroy();
      await fixture.quiet();
      expect(fixture.states.path).toEqual(["connecting", "open"]);
    },
  );
});
