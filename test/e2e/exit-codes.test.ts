import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { freePort } from "../support/free-port.ts";
import { Culvert } from "./support/culvert.ts";
import { dial, echo, Service } from "./support/sockets.ts";

const NOBODY = "ws://127.0.0.1:1";
const TOKEN = "a-token-of-some-length";

describe("2, with one sentence that names the flag", () => {
  const cases: readonly (readonly [args: string, names: RegExp])[] = [
    [`client ${NOBODY}`, /needs at least one tunnel: add -L .* or -R/],
    ["client -L 1:h:2", /URL of the server is missing/],
    [`client ${NOBODY} -L 65536:h:80`, /-L 65536:h:80: .*port/],
    [`client ${NOBODY} -R 80a:h:80`, /-R 80a:h:80: .*port/],
    [`client ${NOBODY} -L 0:h:0`, /-L 0:h:0: .*port/],
    [`client ${NOBODY} -L 5000:h:80 -L 5000:h:81`, /-L 5000:h:80 and -L 5000:h:81 .*same place/],
    [`client ${NOBODY} --remot 1:h:2`, /--remot: did you mean --remote\?/],
    ["client ftp://h -L 1:h:2", /ftp:\/\/h must begin with ws:\/\//],
    ["server --prot 80", /--prot: did you mean --port\?/],
    ["server --port 70000", /--port 70000 is not a port/],
    ["server --host 0.0.0.0", /--host 0.0.0.0 .*token/],
    ["server --ping-interval 10x", /--ping-interval 10x is not a duration/],
    ["server --ping-interval 30s", /--silence-timeout must be longer than --ping-interval/],
    ["server --replay-limit 1G", /--replay-limit 1G is not a size/],
    ["server --token-file /no/such/file", /--token-file \/no\/such\/file/],
    ["serve", /serve is not a command: did you mean server\?/],
  ];
  test.each(cases)("culvert %s", async (args, names) => {
    await using culvert = await Culvert.run(args.split(" "));
    expect((await culvert.exit()).code).toBe(2);
    expect(culvert.stdout.text).toBe("");
    expect(culvert.stderr.text).toMatch(names);
    expect(culvert.stderr.text).toMatch(/^culvert: [^\n]+[.?]$/);
  });
});

describe("0", () => {
  test.each(["--version", "--help", "client --help", "server --help"])("culvert %s", async (args) => {
    await using culvert = await Culvert.run(args.split(" "));
    expect((await culvert.exit()).code).toBe(0);
    expect(culvert.stderr.text).toBe("");
    expect(culvert.stdout.text).toMatch(args === "--version" ? /^\d+\.\d+\.\d+/ : /^Usage: culvert/);
  });

  test.each(["SIGTERM", "SIGINT"] as const)("after %s, on either side", async (signal) => {
    await using server = await Culvert.server();
    await using client = await Culvert.client(server.url, ["-R", "0:127.0.0.1:1"]);
    expect((await client.end(signal)).code).toBe(0);
    expect((await server.end(signal)).code).toBe(0);
  });
});

describe("69", () => {
  test("a local port in use: with the reason, and before the server hears of it", async () => {
    await using occupant = await Service.echo();
    await using server = await Culvert.server();
    const other = await freePort();
    const tunnels = ["-L", `${other}:127.0.0.1:1`, "-L", `${occupant.port}:127.0.0.1:1`];
    await using client = await Culvert.run(["client", server.url, ...tunnels]);
    expect((await client.exit()).code).toBe(69);
    expect(client.stderr.text).toMatch(new RegExp(`in use: .*:${occupant.port}`));
    expect(client.stdout.text).toBe("");
    await expect(dial(other)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    expect(server.stderr.all("session attached")).toEqual([]);
  });

  test("the server's port in use", async () => {
    await using occupant = await Service.echo();
    await using server = await Culvert.run(["server", "--port", String(occupant.port)]);
    expect((await server.exit()).code).toBe(69);
    expect(server.stderr.text).toMatch(new RegExp(`in use: .*:${occupant.port}`));
  });

  test.each(["--retry-max 2", "--retry-for 300ms"])("nobody there, with %s", async (limit) => {
    await using client = await Culvert.run(["client", NOBODY, "-L", "0:h:1", ...limit.split(" ")]);
    expect((await client.exit()).code).toBe(69);
    expect(client.stderr.text).toMatch(/ECONNREFUSED/);
  });

  test("somebody there who is no Culvert server", async () => {
    const http = createServer((_request, response) => response.end("hello")).listen(0, "127.0.0.1");
    await once(http, "listening");
    const { port } = http.address() as AddressInfo;
    await using client = await Culvert.run([
      "client",
      `http://127.0.0.1:${port}`,
      "-L",
      "0:h:1",
      "--retry-max",
      "1",
    ]);
    expect((await client.exit()).code).toBe(69);
    http.close();
  });
});

test("69 is not for a remote port in use: that one is logged and tried again until it is free", async () => {
  await using target = await Service.echo();
  await using server = await Culvert.server();
  const occupant = await Service.echo();
  const { port } = occupant;
  await using client = await Culvert.run([
    ...["client", server.url, "--json", "--retry-cap", "300ms"],
    ...["-R", `${port}:127.0.0.1:${target.port}`, "-L", `0:127.0.0.1:${target.port}`],
  ]);
  expect(await client.logged("the server cannot listen", { nth: 2 })).toMatchObject({
    level: "warn",
    code: "address_in_use",
    listen: `tcp://127.0.0.1:${port}`,
  });
  // The other tunnel is there all the time.
  const { listen } = await client.ready("tunnel");
  using local = await dial(Number(listen!.split(":").at(-1)));
  await echo(local, Buffer.from("local"));

  await occupant[Symbol.asyncDispose]();
  expect(await client.ready("tunnel", { nth: 2 })).toMatchObject({
    side: "remote",
    listen: `tcp://127.0.0.1:${port}`,
  });
  using remote = await dial(port);
  await echo(remote, Buffer.from("remote"));
});

test("70, an error that nobody caught, which is logged", async () => {
  // As soon as somebody is there to hear of it.
  const fault =
    "data:text/javascript,const look = setInterval(() => {" +
    "if (process.listenerCount('uncaughtException') === 0) return; clearInterval(look); throw new Error('a mistake')" +
    "}, 10)";
  await using server = await Culvert.run(["server", "--port", "0"], {
    env: { NODE_OPTIONS: `--import "${fault}"` },
  });
  expect((await server.exit()).code).toBe(70);
  expect(server.stderr.text).toMatch(/internal error/);
});

describe("77, at once", () => {
  test.each([
    ["a wrong token", { CULVERT_TOKEN: `${TOKEN}-but-wrong` }],
    ["no token", {}],
  ])("%s", async (_about, env) => {
    await using server = await Culvert.run(["server", "--json", "--port", "0"], {
      env: { CULVERT_TOKEN: TOKEN },
    });
    await server.ready("server");
    await using client = await Culvert.run(["client", server.url, "-R", "0:127.0.0.1:1"], { env });
    expect((await client.exit()).code).toBe(77);
    expect(client.stderr.text).toMatch(/token/);
    expect(client.stderr.all("no connection to the server").length).toBe(1);
    expect(client.stdout.text).toBe("");
  });
});
