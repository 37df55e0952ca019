import { Client, LISTEN } from "@culvert/client";
import { afterEach, beforeEach, expect, it } from "vitest";
import { until } from "../support/deadline.ts";
import { Forked } from "../support/forked.ts";
import { freePort } from "../support/free-port.ts";
import { LogRecorder } from "../support/log-recorder.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { Service } from "../support/service.ts";
import { StateWatch } from "../support/state-watch.ts";
import { QUICK_RETRY } from "../support/tunnel-fixture.ts";
import { WireEnd } from "../support/wire-end.ts";

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

async function echoesAt(port: number): Promise<void> {
  const visitor = await WireEnd.connect(`127.0.0.1:${port}`);
  expect(await visitor.ask("served")).toBe("served");
  visitor.socket.destroy();
}

it("a port that another program takes while the server is away is asked for until it is free again", async () => {
  await using service = await Service.echo();
  const [serverPort, contested, quiet] = [await freePort(), await freePort(), await freePort()];
  await using first = Forked.start("server-process.ts", { port: serverPort });
  await first.ask("start");
  const log = new LogRecorder();
  await using client = new Client({
    server: `ws://127.0.0.1:${serverPort}`,
    retry: QUICK_RETRY,
    drainMs: 0,
    logger: log.logger,
    tunnels: [contested, quiet].map((port) => ({
      mode: LISTEN,
      listen: `127.0.0.1:${port}`,
      connect: service.address,
    })),
  });
  const states = new StateWatch(client);
  await client.start();
  await until(() => client.tunnels.every(({ state }) => state === "ready"), "both listen");
  await echoesAt(contested);

  await first.kill();
  const squatter = await Service.start(({ socket }) => socket.end("not yours"), `127.0.0.1:${contested}`);
  await using second = Forked.start("server-process.ts", { port: serverPort });
  await second.ask("start");
  await states.entered("open", 2);
  const refusals = () => log.find({ message: "the server cannot listen", code: "address_in_use" });
  await until(() => refusals().length >= 3, "it is asked for again and again");
  // It is seen which one is missing, and the other one serves.
  const [missing, there] = client.tunnels;
  expect(missing?.state).not.toBe("ready");
  expect(refusals()[0]).toMatchObject({ level: "warn", listen: `tcp://127.0.0.1:${contested}` });
  expect(there?.state).toBe("ready");
  await echoesAt(quiet);

  await squatter[Symbol.asyncDispose]();
  await until(() => missing?.state === "ready", "the port is theirs again");
  await echoesAt(contested);
  expect(missing?.address).toBe(`tcp://127.0.0.1:${contested}`);
});
