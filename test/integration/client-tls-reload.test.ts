import { Client } from "@culvert/client";
import { beforeAll, describe, expect, test } from "vitest";
import { Authority, type Issued } from "../support/authority.ts";
import { until } from "../support/deadline.ts";
import { TunnelFixture } from "../support/tunnel-fixture.ts";

let ca: Authority;
let next: Authority;
let first: Issued;
beforeAll(async () => {
  ca = await Authority.create("first CA");
  next = await Authority.create("next CA");
  first = await ca.issue();
});

describe("setTls of a client", () => {
  test("E10: what is right counts from the next dial on, and what is wrong changes nothing", async () => {
    await using fixture = await TunnelFixture.start({
      seed: 1,
      server: { tls: first },
      client: { tls: { ca: ca.pem } },
    });
    fixture.server.setTls(await next.issue());
    fixture.proxy.cut({ how: "rst" });
    const failures = (): unknown[] => fixture.clientLog.find({ code: "untrusted_server" });
    await until(() => failures().length >= 1, "a dial has failed", 30_000);
    expect(() => fixture.client.setTls({ ca: "garbage" })).toThrow(/tls\.ca/);
    await until(() => failures().length >= 2, "another dial has failed", 30_000);
    fixture.client.setTls({ ca: next.pem });
    await fixture.states.entered("open", 2);
    expect(fixture.client.stats().sessions).toBe(1);
  });

  test("a client that was made without tls takes none", async () => {
    await using client = new Client({ server: "wss://localhost:1" });
    expect(() => client.setTls({ ca: ca.pem })).toThrow(/made without tls/);
  });
});
