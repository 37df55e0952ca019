import { connect, type Socket } from "node:net";
import { ChaosProxy } from "@culvert/chaos";
import { describe, expect, test } from "vitest";
import { Culvert } from "../e2e/support/culvert.ts";
import { need, programPath } from "../e2e/support/needed-programs.ts";
import { figuresOf } from "../e2e/support/process-figures.ts";
import { run } from "../e2e/support/program.ts";
import { dial, echo, echoOnce, Service } from "../e2e/support/sockets.ts";
import { persistently, until } from "../support/deadline.ts";

/** Of a server that is to have none left for its clients when a crowd comes. */
const FEW = 400;

/** So many descriptors are free when the crowd comes, and it takes all of them. */
const SPARE = 10;
const CROWD = 60;
const AMPLE = 4096;
const HELLO = "hello";

/** Lowers or lifts the soft limit of a process that runs. */
async function limit(pid: number, descriptors: number): Promise<void> {
  const { code } = await run(programPath("prlimit"), ["--pid", String(pid), `--nofile=${descriptors}:`]);
  expect(code).toBe(0);
}

/** "ended": without a byte. */
type Fate = "served" | "reset" | "ended" | "something else came back";

/** Somebody who says hello, or nothing at all, and what became of it. */
class Stranger {
  readonly socket: Socket;
  readonly fate: Promise<Fate>;

  constructor(port: number, says: string) {
    this.socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    this.fate = new Promise((resolve) => {
      this.socket.on("data", (bytes: Buffer) => {
        resolve(bytes.toString() === HELLO ? "served" : "something else came back");
      });
      this.socket.on("error", () => resolve("reset"));
      this.socket.on("end", () => resolve("ended"));
    });
    if (says !== "") this.socket.write(says);
  }
}

describe.each(["server", "client"] as const)("a %s without free descriptors", (side) => {
  test("says so, keeps what it has, and serves again when there are some", async (context) => {
    need(context, "prlimit");
    await using service = await Service.echo();
    await using server = await Culvert.server();
    await using proxy = await ChaosProxy.start({ target: { host: "127.0.0.1", port: server.port } });
    const tunnels = ["-L", "-R"].flatMap((mode) => [mode, `0:127.0.0.1:${service.port}`]);
    await using client = await Culvert.client(`ws://127.0.0.1:${proxy.port}`, tunnels);
    const starving = side === "server" ? server : client;
    const { descriptors } = figuresOf(starving.pid);
    const old = await Promise.all(client.tunnelPorts.map((port) => dial(port)));
    for (const visitor of old) await echo(visitor, Buffer.from("before"));
    const inUse = figuresOf(starving.pid).descriptors;
    const logged = starving.stderr.count;

    await limit(starving.pid, inUse + SPARE);
    // Where it listens who comes is closed; where it dials the dial fails.
    const crowd = client.tunnelPorts.flatMap((port) =>
      Array.from({ length: CROWD }, () => new Stranger(port, HELLO)),
    );
    const fates = await Promise.all(crowd.map(({ fate }) => fate));
    const count = (wanted: Fate): number => fates.filter((fate) => fate === wanted).length;
    console.log(`${side}: ${count("served")} served, ${count("reset")} reset, ${count("ended")} ended`);
    expect(count("served")).toBeGreaterThan(0);
    expect(count("served")).toBeLessThanOrEqual(2 * SPARE);
    // Those that the kernel accepted and the runtime closed hear an end; those whose target could not be dialed a reset.
    expect(count("served") + count("reset") + count("ended")).toBe(fates.length);
    expect(count("reset")).toBeGreaterThanOrEqual(CROWD - SPARE);
    const said = await starving.logged("no descriptor is free, who connects is closed at once", {
      from: logged,
    });
    expect(said.level).toBe("warn");
    await starving.logged("stream refused", { from: logged });

    for (const visitor of old) await echo(visitor, Buffer.from("meanwhile"));
    // The link may break, too: the descriptor that it leaves is the one that it needs.
    proxy.cut({ how: "rst" });
    for (const visitor of old) await echo(visitor, Buffer.from("and over a new link"));

    for (const { socket } of crowd) socket.destroy();
    await limit(starving.pid, AMPLE);
    await starving.logged("descriptors are free again", { from: logged });
    for (const port of client.tunnelPorts) await persistently(() => echoOnce(port), "it serves again");
    for (const visitor of old) visitor.destroy();
    await until(() => figuresOf(starving.pid).descriptors <= descriptors, "nothing is left open");
    expect((await client.sessionReport()).resumes).toBe(1);
  });
});

test("visitors cannot shut clients out: descriptors are left for WebSockets", async (context) => {
  need(context, "prlimit");
  await using service = await Service.echo();
  await using server = await Culvert.serverOf(FEW);
  const { descriptors } = figuresOf(server.pid);
  const url = `ws://127.0.0.1:${server.port}`;
  await using first = await Culvert.client(url, ["-R", `0:127.0.0.1:${service.port}`]);
  const [port] = first.tunnelPorts as [number];
  const crowd = Array.from({ length: FEW }, () => new Stranger(port, HELLO));
  const fates = await Promise.all(crowd.map(({ fate }) => fate));
  // Half of what the command lets be carried: 260 of 400, and the listener is one of them.
  expect(fates.filter((fate) => fate === "served")).toHaveLength(129);
  expect(new Set(fates)).toEqual(new Set(["served", "reset"]));
  expect(figuresOf(server.pid).descriptors).toBeLessThan(descriptors + 150);
  await server.logged("too many sockets, a visitor is turned away");

  await using second = await Culvert.client(url, ["-L", `0:127.0.0.1:${service.port}`]);
  for (const tunnelPort of second.tunnelPorts) await echoOnce(tunnelPort);
  for (const { socket } of crowd) socket.destroy();
  await persistently(() => echoOnce(port), "visitors are served again");
});
