import { CONNECT, LISTEN, type Mode } from "@culvert/client";
import { parseEndpoint } from "@culvert/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../support/deadline.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { SeededSink } from "../support/seeded-sink.ts";
import { SeededSource } from "../support/seeded-source.ts";
import { Service } from "../support/service.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";
import { MODES, TunnelFixture } from "../support/tunnel-fixture.ts";
import { WireEnd } from "../support/wire-end.ts";

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

type Kind = "IPv4" | "IPv6" | "unix";

function endpointOf(kind: Kind, folder: TemporaryFolder): string {
  if (kind === "unix") return folder.socket();
  return kind === "IPv4" ? "127.0.0.1:0" : "[::1]:0";
}

const MATRIX: [Mode, Kind, Kind][] = MODES.flatMap((mode) =>
  (["IPv4", "IPv6", "unix"] as const).flatMap((listen) =>
    (["IPv4", "IPv6", "unix"] as const).map((target): [Mode, Kind, Kind] => [mode, listen, target]),
  ),
);

describe.each(MATRIX)("%s, listening on %s, to a target on %s", (mode, listen, target) => {
  it("echoes binary data of each size, with the end behind it", async () => {
    using folder = new TemporaryFolder();
    await using service = await Service.echo(endpointOf(target, folder));
    await using fixture = await TunnelFixture.start();
    const tunnel = await fixture.open(mode, service.address, endpointOf(listen, folder));
    for (const size of [1, 1000, 300_000]) {
      const visitor = await WireEnd.connect(tunnel.address);
      const source = new SeededSource(visitor.socket, size, size);
      const sink = new SeededSink(visitor.socket, size);
      expect(await source.done).toBe(size);
      expect(await sink.whole).toBe(size);
      expect(await visitor.closed()).toBe("end");
    }
    await fixture.quiet();
  });
});

describe.each(MODES)("%s", (mode) => {
  it("reports the port that was free for port 0, and serves it", async () => {
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.start();
    const tunnel = await fixture.open(mode, service.address);
    const endpoint = parseEndpoint(tunnel.address ?? "");
    expect(endpoint).toMatchObject({ scheme: "tcp", host: "127.0.0.1" });
    expect(endpoint.scheme === "tcp" && endpoint.port).toBeGreaterThan(0);
    const seen = mode === LISTEN ? fixture.server.sessions()[0]?.tunnels[0]?.address : tunnel.address;
    expect(seen).toBe(tunnel.address);
    const visitor = await WireEnd.connect(tunnel.address);
    expect(await visitor.ask("hello")).toBe("hello");
    visitor.socket.destroy();
  });

  it("serves ten connections one after another, each with its own bytes only", async () => {
    await using service = await Service.echo();
    await using fixture = await TunnelFixture.start();
    const tunnel = await fixture.open(mode, service.address);
    for (let n = 1; n <= 10; n += 1) {
      const visitor = await WireEnd.connect(tunnel.address);
      expect(await visitor.ask(`connection ${n}`)).toBe(`connection ${n}`);
      visitor.socket.end();
      expect(await visitor.closed()).toBe("end");
      expect(visitor.text).toBe(`connection ${n}`);
    }
    await until(() => service.open === 0, "the target has no connection left");
    expect(service.visitors).toHaveLength(10);
    await fixture.quiet();
    expect(fixture.server.sessions()[0]?.dialing.open ?? 0).toBe(0);
  });

  it("lets the target speak first, and the visitor say nothing at all", async () => {
    await using service = await Service.start(({ socket }) => socket.end("220 welcome\r\n"));
    await using fixture = await TunnelFixture.start();
    const tunnel = await fixture.open(mode, service.address);
    const visitor = await WireEnd.connect(tunnel.address);
    expect(await visitor.ended()).toBe("end");
    expect(visitor.text).toBe("220 welcome\r\n");
    visitor.socket.end();
    expect(await visitor.closed()).toBe("end");
  });

  it("finds a name that only the dialing end can resolve", async () => {
    await using service = await Service.echo();
    const target = parseEndpoint(service.address);
    const lookup = (
      name: string,
      _options: unknown,
      done: (error: null, addresses: { address: string; family: number }[]) => void,
    ): void => done(null, name === "inside.example" ? [{ address: "127.0.0.1", family: 4 }] : []);
    const side = { lookup: lookup as never };
    await using fixture = await TunnelFixture.start(mode === CONNECT ? { server: side } : { client: side });
    const port = target.scheme === "tcp" ? target.port : 0;
    const tunnel = await fixture.open(mode, `inside.example:${port}`);
    const visitor = await WireEnd.connect(tunnel.address);
    expect(await visitor.ask("who is there?")).toBe("who is there?");
    visitor.socket.destroy();
  });

  it("carries many connections at once, each answered after a time of its own", async () => {
    await using service = await Service.start(({ socket }) => {
      socket.once("data", (chunk) => {
        // Later ones are answered sooner.
        setTimeout(() => socket.end(chunk), 200 - Number(chunk.toString()));
      });
    });
    await using fixture = await TunnelFixture.start();
    const tunnel = await fixture.open(mode, service.address);
    const answers = Array.from({ length: 100 }, async (_, n) => {
      const visitor = await WireEnd.connect(tunnel.address);
      visitor.socket.end(`${n}`);
      await visitor.closed();
      return visitor.text;
    });
    expect(await Promise.all(answers)).toEqual(Array.from({ length: 100 }, (_, n) => `${n}`));
  });
});
