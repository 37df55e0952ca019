import { expect, test } from "vitest";
import { freePort } from "../support/free-port.ts";
import { Culvert } from "./support/culvert.ts";

test("stdout has one line for each thing that is ready, and nothing else", async () => {
  const [port, local, remote] = [await freePort(), await freePort(), await freePort()];
  await using server = await Culvert.run(["server", "--port", String(port)]);
  await server.stdout.waitFor("listening");
  const tunnels = ["-L", `${local}:db:5432`, "-R", `[::1]:${remote}:localhost:22`];
  await using client = await Culvert.run(["client", `http://127.0.0.1:${port}`, ...tunnels]);
  await client.stdout.waitFor("tunnel remote");
  for (const culvert of [client, server]) expect((await culvert.end("SIGTERM")).code).toBe(0);

  expect(server.stdout.text).toBe(`culvert server listening on ws://127.0.0.1:${port}/`);
  expect(client.stdout.text.split("\n")).toEqual([
    `culvert client connected to ws://127.0.0.1:${port}/`,
    `tunnel local tcp://127.0.0.1:${local} -> tcp://db:5432 ready`,
    `tunnel remote tcp://[::1]:${remote} -> tcp://localhost:22 ready`,
  ]);
  // The log, and nothing else: one JSON object a line.
  for (const { text } of [...client.stderr.all(/./), ...server.stderr.all(/./)]) {
    expect(JSON.parse(text)).toMatchObject({ level: expect.any(String), msg: expect.any(String) });
  }
});
