import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { Client } from "@culvert/client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rawRequest, request, upgradeHeaders } from "../../packages/server/test/support/raw-http.ts";
import { until } from "../support/deadline.ts";
import { freePort } from "../support/free-port.ts";
import { COMMAND, Culvert } from "./support/culvert.ts";
import { need } from "./support/needed-programs.ts";
import { type Outcome, run } from "./support/program.ts";
import { ScratchDirectory } from "./support/scratch-directory.ts";
import { dial, echo, echoOnce, Service } from "./support/sockets.ts";

const SHARED = "canary-shared-0123456789";

/** What everybody here uses, made once by the command itself. */
let made: ScratchDirectory;
let token: string;
let key: string;
const file = (name: string): string => made.file(name);
const read = (name: string): string => readFileSync(file(name), "utf8");
const flags = {
  get tls() {
    return ["--tls-cert", file("server.pem"), "--tls-key", file("server-key.pem")];
  },
  get ca() {
    return ["--ca", file("ca.pem")];
  },
  get laptop() {
    return [...flags.ca, "--cert", file("laptop.pem"), "--key", file("laptop-key.pem")];
  },
};

beforeAll(() => {
  made = new ScratchDirectory();
  // A program of ours shows its last lines when a test fails, and this is none.
  const make = (...args: string[]): string =>
    execFileSync(COMMAND, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  make("cert", "ca", made.path);
  make("cert", "server", made.path, "--host", "127.0.0.1");
  make("cert", "client", made.path, "--name", "laptop");
  token = make("token", "new", "--file", file("alice.token"));
  key = make("key", "new", file("bob.key"));
  writeFileSync(file("shared.token"), SHARED, { mode: 0o600 });
});
afterAll(() => made[Symbol.dispose]());

/** A command that does one thing and ends, well unless another code is expected. */
async function task(args: string[], code = 0, env: Record<string, string> = {}): Promise<Outcome> {
  await using culvert = await Culvert.run(args, { env });
  const exit = await culvert.exit(30_000);
  expect(exit.code, culvert.stderr.text).toBe(code);
  return { code, stdout: culvert.stdout.text, stderr: culvert.stderr.text };
}

/** Writes a users file. */
function users(scratch: ScratchDirectory, all: object): string {
  const path = scratch.file("users.yaml");
  writeFileSync(path, JSON.stringify({ version: 1, users: all }));
  return path;
}

describe("T1: each way of giving a secret is in force", () => {
  interface Way {
    readonly args?: (scratch: ScratchDirectory) => string[];
    readonly env?: () => Record<string, string>;
    readonly stdin?: string;
    readonly says: RegExp;
  }
  const WAYS: readonly (readonly [how: string, way: Way])[] = [
    ["--token-file", { args: () => ["--token-file", file("shared.token")], says: /^token$/ }],
    ["--token-file -", { args: () => ["--token-file", "-"], stdin: `${SHARED}\n`, says: /^token$/ }],
    ["CULVERT_TOKEN", { env: () => ({ CULVERT_TOKEN: SHARED }), says: /^token$/ }],
    ["CULVERT_TOKEN_FILE", { env: () => ({ CULVERT_TOKEN_FILE: file("shared.token") }), says: /^token$/ }],
    [
      "a token in --users",
      { args: (scratch) => ["--users", users(scratch, { a: { tokens: [token] } })], says: /\b1 token,/ },
    ],
    [
      "a key in --users",
      { args: (scratch) => ["--users", users(scratch, { a: { keys: [key] } })], says: /\b1 key,/ },
    ],
    [
      "--users with nobody in it",
      { args: (scratch) => ["--users", users(scratch, {})], says: /^users\(0\)/ },
    ],
  ];

  test.each(WAYS)("%s: who shows nothing, or something else, is refused", async (_how, way) => {
    using scratch = new ScratchDirectory();
    const args = ["server", "--json", "--port", "0", ...(way.args?.(scratch) ?? [])];
    const env = way.env?.() ?? {};
    await using server = await Culvert.run(args, { env, stdio: ["pipe", "pipe", "pipe"] });
    server.stdin?.end(way.stdin ?? "");
    await server.ready("server");
    expect((await server.logged("server listens")).auth).toMatch(way.says);
    for (const Authorization of [undefined, "Bearer ", `Bearer ${SHARED}x`, `Basic ${SHARED}`]) {
      const answer = await rawRequest(server.port, request("GET /", upgradeHeaders({ Authorization })));
      expect(answer.status, Authorization).toBe(401);
    }
    await using client = await Culvert.run(["client", server.url, "-L", "0:127.0.0.1:1"]);
    expect((await client.exit()).code).toBe(77);
    expect(client.stderr.text).toMatch(/this client has no token and no key: add --token-file/);
    expect(server.stderr.all("session attached")).toEqual([]);
  });

  test("--tls-client-ca: who has no certificate of it is refused, with the mend", async () => {
    using scratch = new ScratchDirectory();
    const laptop = { certificates: ["dns:laptop"], connect: { allow: ["127.0.0.1:1"] } };
    const demand = ["--tls-client-ca", file("ca.pem"), "--users", users(scratch, { laptop })];
    await using server = await Culvert.server([...flags.tls, ...demand]);
    const tunnel = ["-L", "0:127.0.0.1:1"];
    await using stranger = await Culvert.run(["client", server.url, ...flags.ca, ...tunnel]);
    expect((await stranger.exit()).code).toBe(77);
    expect(stranger.stderr.text).toMatch(/demands a client certificate: give one \(--cert and --key/);
    await using known = await Culvert.client(server.url, [...flags.laptop, ...tunnel]);
    expect(await server.logged("session attached")).toMatchObject({ owner: "user:laptop" });
    await known.end("SIGTERM");
  });
});

test("T5: no secret is in any command line, log, ready line, audit log or sentence", async () => {
  using scratch = new ScratchDirectory();
  await using service = await Service.echo();
  const target = `127.0.0.1:${service.port}`;
  const may = { connect: { allow: [target] } };
  const all = { alice: { tokens: [token], ...may }, bob: { keys: [key], ...may } };
  writeFileSync(scratch.file("headers"), "X-Own: canary-header-0123456789\n", { mode: 0o600 });
  writeFileSync(scratch.file("wrong.token"), "canary-wrong-0123456789\n", { mode: 0o600 });
  const cert = scratch.file("server.pem");
  writeFileSync(cert, read("server.pem"));
  const trace = ["--log-level", "trace"];
  await using server = await Culvert.server([
    ...["--tls-cert", cert, "--tls-key", file("server-key.pem"), "--tls-client-ca", file("ca.pem")],
    ...["--token-file", file("shared.token"), "--users", users(scratch, all), "--allow-connect", target],
    ...["--audit-log", scratch.file("audit.log"), ...trace],
  ]);
  const tunnel = ["-L", `0:${target}`];
  const base = [...flags.laptop, "--header", `@${scratch.file("headers")}`, ...tunnel, ...trace];
  const culverts: {
    readonly stdout: { readonly text: string };
    readonly stderr: { readonly text: string };
  }[] = [server];
  const logins = [
    ["--token-file", file("alice.token")],
    ["--token-file", file("shared.token")],
    ["--login-key", file("bob.key")],
  ];
  await using stack = new AsyncDisposableStack();
  for (const [n, login] of logins.entries()) {
    const client = stack.use(await Culvert.client(server.url, [...base, "--name", `c${n}`, ...login]));
    for (const port of client.tunnelPorts) await echoOnce(port);
    client.kill("SIGUSR2");
    await client.logged("state of the session");
    culverts.push(client);
  }
  const wrong = await Culvert.run([
    "client",
    server.url,
    ...base,
    "--token-file",
    scratch.file("wrong.token"),
  ]);
  expect((await stack.use(wrong).exit()).code).toBe(77);
  culverts.push(wrong);

  // What is in the wrong place: a token where its hash belongs, a key where a certificate does.
  const broken = { alice: { tokens: [read("alice.token").trim()] } };
  users(scratch, broken);
  writeFileSync(cert, read("server-key.pem"));
  const from = server.stderr.count;
  server.kill("SIGHUP");
  await server.logged("not read again: what was read before still holds", { from, nth: 2 });
  const outcomes = [
    await task(["policy", "check", "--users", scratch.file("users.yaml")], 2),
    await task(["server", "--users", scratch.file("users.yaml")], 2),
    await task(["server", "--tls-cert", file("server-key.pem"), "--tls-key", file("server-key.pem")], 2),
    await task(["client", server.url, ...tunnel, "--login-key", file("alice.token")], 2),
    await task(["client", server.url, ...tunnel, "--header", `@${file("bob.key")}`], 2),
    await task(["key", "show", file("laptop-key.pem")], 2),
    await task(["token", "hash", file("shared.token")], 2),
  ];

  // All processes, while these run.
  const lines = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => commandLine(pid));
  expect(lines.join("\n")).toContain(file("alice.token"));
  const said = [
    ...lines,
    ...culverts.map(({ stdout, stderr }) => stdout.text + stderr.text),
    ...outcomes.map(({ stdout, stderr }) => stdout + stderr),
    readFileSync(scratch.file("audit.log"), "utf8"),
  ].join("\n");
  expect(said).toContain('"type":"login"');
  const secrets = [
    read("alice.token").trim(),
    read("alice.token").trim().split("_").slice(2).join("_"),
    SHARED,
    "canary-header-0123456789",
    "canary-wrong-0123456789",
    ...["bob.key", "server-key.pem", "laptop-key.pem", "ca-key.pem"].map((name) => partOf(read(name))),
  ];
  for (const secret of secrets) expect(said).not.toContain(secret);
});

/** Empty when the process has ended meanwhile. */
function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

/** A part of a private key, whether it is one of Ed25519 or of P-256: what is around it is the same in all of them, or public. */
function partOf(pem: string): string {
  return pem.trim().split("\n").slice(1, -1).join("").slice(50, 62);
}

test("G13, T26: 100 reloads of broken users, and broken certificates, while a session carries data", async () => {
  using scratch = new ScratchDirectory();
  await using service = await Service.echo();
  const target = `127.0.0.1:${service.port}`;
  const all = { alice: { tokens: [token], connect: { allow: [target] } } };
  const cert = scratch.file("server.pem");
  writeFileSync(cert, read("server.pem"));
  const tls = ["--tls-cert", cert, "--tls-key", file("server-key.pem")];
  await using server = await Culvert.server([...tls, "--users", users(scratch, all)]);
  const login = [...flags.ca, "--token-file", file("alice.token")];
  const tunnels = ["-L", `0:${target}`, "-L", "0:127.0.0.1:1"];
  await using client = await Culvert.client(server.url, [...login, ...tunnels]);
  const [port, forbidden] = client.tunnelPorts as [number, number];
  using visitor = await dial(port);
  const block = Buffer.alloc(20_000, "culvert");

  const HELD = "not read again: what was read before still holds";
  for (let round = 0; round < 100; round += 1) {
    writeFileSync(scratch.file("users.yaml"), `version: 1\nusers: { alice: { round: ${round} } }\n`);
    if (round === 50) writeFileSync(cert, "garbage");
    const from = server.stderr.count;
    server.kill("SIGHUP");
    await echo(visitor, block);
    await server.logged(HELD, { from });
  }
  const reasons = server.stderr.all(HELD).map(({ text }) => (JSON.parse(text) as { reason: string }).reason);
  expect(reasons.join("\n")).toMatch(/users\.alice.*no key "round"/);
  expect(reasons.join("\n")).toMatch(/--tls-cert .*PEM/);
  // The old rules hold, and so does the old certificate.
  await echoOnce(port);
  await expect(echoOnce(forbidden)).rejects.toThrow();
  await using late = await Culvert.client(server.url, [...login, "--name", "late", "-L", `0:${target}`]);
  await echoOnce(late.tunnelPorts[0]!);

  writeFileSync(cert, read("server.pem"));
  users(scratch, { ...all, carol: {} });
  const from = server.stderr.count;
  server.kill("SIGHUP");
  await server.logged("users changed", { from });
  await echo(visitor, block);
  expect(client.stderr.all("session begun")).toHaveLength(1);
  expect(client.stderr.all("session resumed")).toEqual([]);
});

test("T29: among 500 silent or garbage connections a client comes in", async () => {
  const limits = ["--head-timeout", "5s", "--tls-handshake-timeout", "5s", "--handshake-timeout", "5s"];
  await using server = await Culvert.server([...flags.tls, "--token-file", file("shared.token"), ...limits]);
  const sockets: Socket[] = [];
  const begin = (n: number): void => {
    if (n % 5 === 4) {
      // TLS, and then nothing.
      const socket = connectTls({ port: server.port, host: "127.0.0.1", rejectUnauthorized: false });
      sockets.push(socket.on("error", () => undefined).resume());
      return;
    }
    const socket = connect(server.port, "127.0.0.1");
    sockets.push(socket.on("error", () => undefined).resume());
    if (n % 5 === 1) socket.write("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "latin1"); // half a ClientHello
    if (n % 5 === 2) socket.write(request("GET /", upgradeHeaders()));
    if (n % 5 === 3) socket.write(Buffer.alloc(700, 0xa5));
  };
  for (let n = 0; n < 500; n += 1) begin(n);
  await until(() => sockets.every((socket) => !socket.connecting), "all have connected, or were dropped");
  const options = { server: server.url, token: SHARED, tls: { ca: read("ca.pem") } };
  await using client = new Client({ ...options, drainMs: 0 });
  const start = performance.now();
  await client.start();
  // In the midst of them, and not because their deadlines had made room. The time is told, for who looks at it.
  expect(sockets.some((socket) => !socket.destroyed)).toBe(true);
  console.log(`in after ${Math.round(performance.now() - start)} ms`);
  await client.close();
  await until(() => sockets.every((socket) => socket.destroyed), "all of them are gone", 30_000);
  expect((await server.serverReport()).sessions).toBe(0);
});

describe("G15: a clock of another century", () => {
  /** Shifts what JavaScript takes for now; OpenSSL keeps the real time. */
  const clockOf = (year: number): Record<string, string> => {
    const script = `const Real = Date, shift = Real.UTC(${year}, 0, 2) - Real.now();
      globalThis.Date = class extends Real {
        constructor(...args) { args.length === 0 ? super(Real.now() + shift) : super(...args); }
        static now() { return Real.now() + shift; }
      };`;
    return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(script)}` };
  };

  test.each([
    [1970, true],
    [2100, false],
  ])("%i: the server works, and who is good until 2099 is let in: %s", async (year, isGood) => {
    using scratch = new ScratchDirectory();
    const expires = "2099-01-01T00:00:00Z";
    const all = users(scratch, { alice: { tokens: [token], expires }, bob: { keys: [key] } });
    const env = clockOf(year);
    await using server = await Culvert.run(["server", "--json", "--port", "0", "--users", all], { env });
    await server.ready("server");
    expect(String((await server.logged("server listens")).time)).toMatch(new RegExp(`^${year}-`));
    const tunnel = ["--json", "-L", "0:127.0.0.1:1"];
    // A login by key has a challenge that ages, of the server's own time: the client's does not matter.
    await using bob = await Culvert.run(["client", server.url, ...tunnel, "--login-key", file("bob.key")]);
    await bob.ready("client");
    const login = ["--token-file", file("alice.token")];
    await using alice = await Culvert.run(["client", server.url, ...tunnel, ...login], { env });
    if (isGood) await alice.ready("client");
    else expect((await alice.exit()).code).toBe(77);
    expect((await server.end("SIGTERM")).code).toBe(0);
  });

  test.each([1970, 2100])(
    "%i: a certificate that was made then says when it holds, and the client why it does not",
    async (year) => {
      using scratch = new ScratchDirectory();
      const env = clockOf(year);
      await task(["cert", "ca", scratch.path], 0, env);
      await task(["cert", "server", scratch.path, "--host", "127.0.0.1"], 0, env);
      const pem = readFileSync(scratch.file("server.pem"));
      expect(new X509Certificate(pem).validFromDate.getUTCFullYear()).toBe(year);
      const tls = ["--tls-cert", scratch.file("server.pem"), "--tls-key", scratch.file("server-key.pem")];
      await using server = await Culvert.server([...tls, "--token-file", file("shared.token")]);
      expect(await server.logged("clients will refuse this certificate")).toMatchObject({ level: "warn" });
      const trust = ["--ca", scratch.file("ca.pem"), "-L", "0:127.0.0.1:1"];
      await using client = await Culvert.run(["client", server.url, ...trust]);
      expect((await client.exit()).code).toBe(69);
      expect(client.stderr.text).toMatch(
        year === 1970 ? /expired on 1971.*the clock here/ : /not valid before 2100.*the clock here/,
      );
    },
  );
});

test("capability 4: openssl shakes hands with TLS 1.2 and 1.3, and with nothing older", async (context) => {
  need(context, "openssl");
  await using server = await Culvert.server([...flags.tls, "--token-file", file("shared.token")]);
  const shake = (version: string): Promise<Outcome> =>
    run("openssl", [
      "s_client",
      "-connect",
      `127.0.0.1:${server.port}`,
      "-CAfile",
      file("ca.pem"),
      "-verify_return_error",
      version,
    ]);
  for (const version of ["-tls1_2", "-tls1_3"]) {
    expect((await shake(version)).stdout, version).toMatch(/Verify return code: 0 \(ok\)/);
  }
  expect((await shake("-tls1_1")).code).not.toBe(0);
});

test("T23, capabilities 6, 7, 102: a port is its owner's, also after kill -9; who may not have it is told why", async () => {
  using scratch = new ScratchDirectory();
  await using service = await Service.echo();
  await using forbidden = await Service.echo();
  const [port, local] = [await freePort(), `127.0.0.1:${service.port}`];
  const grants = { listen: { allow: [port] }, connect: { allow: [local] } };
  const all = { alice: { tokens: [token], ...grants }, bob: { keys: [key], ...grants } };
  const audit = scratch.file("audit.log");
  await using server = await Culvert.server([
    ...flags.tls,
    "--users",
    users(scratch, all),
    "--audit-log",
    audit,
  ]);
  const remote = ["-R", `${port}:${local}`];
  const alices = [...flags.ca, "--token-file", file("alice.token"), ...remote];
  {
    await using first = await Culvert.client(server.url, alices);
    await echoOnce(port);
    const bobs = [...flags.ca, "--login-key", file("bob.key"), ...remote];
    await using other = await Culvert.run(["client", server.url, "--json", ...bobs]);
    expect(await other.logged("the server cannot listen")).toMatchObject({ code: "listener_held" });
    await first.end("SIGKILL");
    await using again = await Culvert.client(server.url, alices);
    await echoOnce(port);
    expect(other.stdout.all('"ready":"tunnel"')).toEqual([]);
    await again.end("SIGTERM");
    // Now that its owner has left it, the next one gets it.
    await other.ready("tunnel");
    await echoOnce(port);
  }

  await using denied = await Culvert.client(server.url, [
    ...[...flags.ca, "--token-file", file("alice.token"), "--name", "denied"],
    ...[
      "-L",
      `0:127.0.0.1:${forbidden.port}`,
      "-L",
      "0:169.254.169.254:80",
      "-L",
      `0:127.0.0.1:${server.port}`,
    ],
  ]);
  for (const denial of denied.tunnelPorts) await expect(echoOnce(denial)).rejects.toThrow();
  await expect.poll(() => denied.stderr.all('"code":"forbidden"').length).toBeGreaterThanOrEqual(3);
  expect(forbidden.accepted).toBe(0);
  const records = readFileSync(audit, "utf8");
  expect(records.match(/"type":"open_refused"/g)).toHaveLength(3);
  expect(records).toMatch(/"reason":"denied: 169\.254\.169\.254 is a link-local address/);

  const wrong = ["--token-file", file("shared.token"), "-R", `0:${local}`];
  await using stranger = await Culvert.run(["client", server.url, ...flags.ca, ...wrong]);
  expect((await stranger.exit()).code).toBe(77);
});
