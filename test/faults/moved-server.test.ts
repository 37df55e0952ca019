import dns from "node:dns";
import { ChaosProxy } from "@culvert/chaos";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { until } from "../support/deadline.ts";
import { freePort } from "../support/free-port.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { Service } from "../support/service.ts";
import { MODES, TunnelFixture } from "../support/tunnel-fixture.ts";
import { WireEnd } from "../support/wire-end.ts";

const NAME = "culvert.test";

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await handles.gone();
});

it("a server whose name moves to another address during an outage is found there, with the same session", async () => {
  // The system's resolver, as far as this one name goes.
  let address = "127.0.0.1";
  const asked: string[] = [];
  const lookup = dns.lookup as (...question: unknown[]) => void;
  vi.spyOn(dns, "lookup").mockImplementation(((name: string, ...rest: unknown[]) => {
    if (name === NAME) asked.push(address);
    lookup(name === NAME ? address : name, ...rest);
  }) as never);

  await using service = await Service.echo();
  let port = 0;
  const server = (): string => `ws://${NAME}:${port}/`;
  await using fixture = await TunnelFixture.prepare({ client: { server } });
  const target = { host: "127.0.0.1", port: fixture.server.address?.port ?? 0 };
  // At both addresses.
  port = await freePort();
  await using before = await ChaosProxy.start({ target, port });
  await using after = await ChaosProxy.start({ target, host: "127.0.0.2", port });
  await fixture.client.start();
  await until(() => fixture.client.stats().session?.link.rttMs !== undefined, "the session is proven");
  const visitors = await Promise.all(
    MODES.map(async (mode) => WireEnd.connect((await fixture.open(mode, service.address)).address)),
  );
  for (const visitor of visitors) expect(await visitor.ask("before")).toBe("before");

  before.refuse();
  before.cut({ how: "rst" });
  await until(() => before.stats().refused >= 3, "the old address is of no use");
  address = "127.0.0.2";
  await fixture.states.entered("open", 2);
  expect(after.stats().accepted).toBe(1);
  // Once for each dial: what was true then need not be true now.
  expect(asked.length).toBeGreaterThanOrEqual(fixture.client.stats().dials);
  for (const visitor of visitors) {
    expect(await visitor.ask("after")).toBe("after");
    visitor.socket.destroy();
  }
  expect(fixture.sessions).toBe(1);
  expect(fixture.resumes).toBe(1);
  await fixture.quiet();
});
