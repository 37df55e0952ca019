import type { Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { soon, until } from "../support/deadline.ts";
import { freePort } from "../support/free-port.ts";
import { storyOf } from "./support/carried-pairs.ts";
import { Culvert } from "./support/culvert.ts";
import { dial, echo, echoOnce, Service } from "./support/sockets.ts";

const HELLO = Buffer.from("hello");

// How soon is printed. What would wait for the silence (25 s) or the grace (120 s) fails: no wait here is as patient.
describe("killed and started again", () => {
  let service: Service;
  let ports: { readonly server: number; readonly local: number; readonly remote: number };
  let tunnels: string[];
  beforeEach(async () => {
    service = await Service.echo();
    ports = { server: await freePort(), local: await freePort(), remote: await freePort() };
    tunnels = [
      ...["-L", `${ports.local}:127.0.0.1:${service.port}`],
      ...["-R", `${ports.remote}:127.0.0.1:${service.port}`],
      // Whatever port this one is given, it is to get it again.
      ...["-R", `0:127.0.0.1:${service.port}`],
    ];
  });
  afterEach(() => service[Symbol.asyncDispose]());

  const startServer = (): Promise<Culvert> => Culvert.server([], ports.server);
  const startClient = (flags: readonly string[] = []): Promise<Culvert> =>
    Culvert.client(`ws://127.0.0.1:${ports.server}`, [...tunnels, ...flags]);

  // After five failed dials the waits between them have grown as long as they get.
  test.each([0, 5])("the server, after %i dials: the client is back by itself", async (failures) => {
    const before = await startServer();
    await using client = await startClient();
    const listening = client.tunnelPorts;
    const visitors: Socket[] = [];
    for (const port of listening) {
      const visitor = await dial(port);
      await echo(visitor, HELLO);
      visitors.push(visitor);
    }
    // Those that the client holds: of -L the visitor, of -R the connections to the target.
    const [, ...targets] = service.sockets;
    const stories = Promise.all([visitors[0]!, ...targets].map(storyOf));
    const logged = client.stderr.count;
    const printed = client.stdout.count;
    await before.end("SIGKILL");
    if (failures > 0) {
      await client.logged("no connection to the server", { from: logged, nth: failures });
    }

    await using after = await startServer();
    const { at: portAt } = await after.ready("server");
    await client.allReady(tunnels, printed);
    for (const port of listening) await echoOnce(port);
    const backMs = performance.now() - portAt;
    console.log(`after ${failures} failed dials: back ${Math.round(backMs)} ms after the port`);
    expect(client.tunnelPorts).toEqual(listening);
    // What the old server carried is lost, and does not look complete. (Its own sockets were ended by the kernel.)
    const lost = { events: ["ECONNRESET"] };
    expect(await soon(stories, "old connections end")).toMatchObject([lost, lost, lost]);
    for (const visitor of visitors) visitor.destroy();
  });

  test("the client: served on the same ports at once", async () => {
    await using _server = await startServer();
    const before = await startClient();
    const listening = before.tunnelPorts;
    using visitor = await dial(ports.remote);
    await echo(visitor, HELLO);
    const story = storyOf(visitor);
    await before.end("SIGKILL");

    const startedAt = performance.now();
    await using after = await startClient();
    for (const port of [ports.local, ports.remote]) await echoOnce(port);
    const servedMs = performance.now() - startedAt;
    console.log(`served again ${Math.round(servedMs)} ms after the start of the process`);
    expect(after.tunnelPorts.slice(0, 2)).toEqual(listening.slice(0, 2));
    expect((await soon(story, "the old connection ends")).events).toEqual(["ECONNRESET"]);
  });

  test("not again: the server keeps its port and its connections for the grace, and then ends them", async () => {
    await using server = await Culvert.server(["--grace", "1500ms"], ports.server);
    const client = await startClient();
    using visitor = await dial(ports.remote);
    await echo(visitor, HELLO);
    using local = await dial(ports.local);
    await echo(local, HELLO);
    const [, atTarget] = service.sockets;
    const story = storyOf(visitor);
    const killedAt = performance.now();
    await client.end("SIGKILL");

    const { events } = await soon(story, "the old connection ends");
    expect(events).toEqual(["ECONNRESET"]);
    expect(performance.now() - killedAt).toBeGreaterThan(1400);
    await until(() => service.sockets.size === 0, "the target is rid of it");
    expect(atTarget!.destroyed).toBe(true);
    await until(
      () =>
        dial(ports.remote).then(
          (late) => void late.destroy(),
          (error: NodeJS.ErrnoException) => error.code === "ECONNREFUSED",
        ),
      "the port is free",
    );
    expect(await server.serverReport()).toMatchObject({ sessions: 0, streams: 0 });
  });

  test("a client of the same name takes over, and the one before ends with a reason of its own", async () => {
    await using _server = await startServer();
    tunnels = tunnels.slice(2, 4);
    const first = await startClient(["--name", "twin"]);
    await using second = await startClient(["--name", "twin"]);
    const { code } = await first.exit();
    expect(code).toBe(75);
    expect(first.stderr.text).toMatch(/took over|displaced/);
    await echoOnce(ports.remote);
    expect(second.tunnelPorts).toEqual([ports.remote]);
    expect((await second.sessionReport()).state).toBe("attached");
  });
});
