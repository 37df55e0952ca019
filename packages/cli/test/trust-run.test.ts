import { EventEmitter, once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { beforeAll, beforeEach, describe, expect, it, onTestFinished, test } from "vitest";
import { run } from "../src/run.ts";
import { outcomeOf, Recorder } from "./support.ts";

const AGAIN = /"msg":"read again, and in force"/;
const HELD = /"msg":"not read again: what was read before still holds"/;

/** A command that runs in this process, until the test is over. */
class Running {
  readonly stdout = new Recorder();
  readonly stderr = new Recorder();
  readonly host = new EventEmitter();
  readonly exitCode: Promise<number>;

  constructor(...argv: string[]) {
    this.exitCode = run(argv, {}, { stdout: this.stdout, stderr: this.stderr }, this.host);
    onTestFinished(async () => {
      this.host.emit("SIGTERM");
      await this.exitCode;
    });
  }

  async ready(): Promise<Record<string, string>> {
    return JSON.parse((await this.stdout.until(/\n/)).split("\n", 1)[0]!) as Record<string, string>;
  }

  /** Reads its files again; resolves when it has said how that went. */
  async hangUp(expected: RegExp): Promise<void> {
    this.stderr.text = "";
    this.host.emit("SIGHUP");
    await this.stderr.until(expected);
  }
}

let made: string;
let token: string;
let key: string;
/** Of one test: what it may change. */
let folder: string;
const file = (name: string): string => join(folder, name);

beforeAll(async () => {
  made = mkdtempSync(join(tmpdir(), "culvert-made-"));
  await outcomeOf(["cert", "ca", made]);
  await outcomeOf(["cert", "server", made, "--host", "127.0.0.1"]);
  token = (await outcomeOf(["token", "new", "--file", join(made, "alice.token")])).stdout.trim();
  key = (await outcomeOf(["key", "new", join(made, "bob.key")])).stdout.trim();
  return () => rmSync(made, { recursive: true });
});

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "culvert-run-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const name of ["ca", "ca-key", "server", "server-key"])
    copyFileSync(join(made, `${name}.pem`), file(`${name}.pem`));
  for (const name of ["alice.token", "bob.key"]) copyFileSync(join(made, name), file(name));
  users();
});

function users(...without: string[]): void {
  const all = {
    alice: { tokens: [token], connect: { allow: ["127.0.0.1:1"] } },
    bob: { keys: [key] },
  };
  const left = Object.entries(all).filter(([name]) => !without.includes(name));
  writeFileSync(file("users.yaml"), JSON.stringify({ version: 1, users: Object.fromEntries(left) }));
}

function server(...flags: string[]): Running {
  const tls = ["--tls-cert", file("server.pem"), "--tls-key", file("server-key.pem")];
  return new Running("server", "--port", "0", "--json", ...tls, "--users", file("users.yaml"), ...flags);
}

function client(url: string, ...flags: string[]): Running {
  return new Running("client", url, "-L", "0:127.0.0.1:1", "--json", "--retry-base", "1ms", ...flags);
}

/** The serial number of the certificate that is served there. */
async function serial(url: string): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port: Number(new URL(url).port), rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const { serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return serialNumber;
}

describe("a server with certificate and users", () => {
  it("says how clients are authenticated, and lets them in by token and key", async () => {
    const { url, auth, allowed } = await server().ready();
    expect(url).toMatch(/^wss:\/\/127\.0\.0\.1:\d+\/$/);
    expect(auth).toMatch(/users\(2\)/);
    expect(allowed).toMatch(/users\(2\)/);
    const byToken = client(url!, "--ca", file("ca.pem"), "--token-file", file("alice.token"));
    const byKey = client(url!, "--ca", file("ca.pem"), "--login-key", file("bob.key"));
    expect(await byToken.ready()).toEqual({ ready: "client", server: url });
    expect(await byKey.ready()).toEqual({ ready: "client", server: url });
  });

  test("T5: neither token nor key is in any line, at any level", async () => {
    const running = server("--log-level", "trace", "--audit-log", file("audit.log"));
    const { url } = await running.ready();
    const ca = ["--ca", file("ca.pem"), "--log-level", "trace"];
    const clients = [
      client(url!, ...ca, "--token-file", file("alice.token")),
      client(url!, ...ca, "--login-key", file("bob.key")),
    ];
    await Promise.all(clients.map((one) => one.ready()));
    const secrets = [
      readFileSync(file("alice.token"), "utf8").trim(),
      readFileSync(file("bob.key"), "utf8").split("\n")[1]!,
    ];
    const audit = readFileSync(file("audit.log"), "utf8");
    for (const { stdout, stderr } of [running, ...clients]) {
      for (const secret of secrets) expect(stdout.text + stderr.text + audit).not.toContain(secret);
    }
    const records = audit
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const logins = records.filter(({ type }) => type === "login").map(({ identity }) => identity);
    expect(logins.sort()).toEqual(["user:alice", "user:bob"]);
  });

  it("is trusted by its pin alone, and not without", async () => {
    const { url } = await server().ready();
    const { stdout } = await outcomeOf([
      "cert",
      "server",
      folder,
      "--host",
      "127.0.0.1",
      "--renew",
      "--json",
    ]);
    const { pin } = JSON.parse(stdout) as { pin: string };
    expect(await client(url!, "--pin", pin, "--login-key", file("bob.key")).ready()).toMatchObject({
      ready: "client",
    });
    const stranger = client(url!, "--login-key", file("bob.key"));
    expect(await stranger.exitCode).toBe(69);
    expect(stranger.stderr.text).toContain(pin);
  });

  test("G13, T14: new users count at SIGHUP, broken ones do not, and who is gone is sent away", async () => {
    const running = server();
    const { url } = await running.ready();
    const alice = client(url!, "--ca", file("ca.pem"), "--token-file", file("alice.token"));
    await alice.ready();
    writeFileSync(file("users.yaml"), "version: 1\nusers: { alice: { conect: {} } }\n");
    await running.hangUp(HELD);
    expect(running.stderr.text).toMatch(/users\.alice.*did you mean/);
    const again = client(url!, "--ca", file("ca.pem"), "--login-key", file("bob.key"));
    await again.ready();
    users("alice");
    await running.hangUp(AGAIN);
    expect(await alice.exitCode).toBe(77);
    expect(running.stderr.text).toMatch(/"what":"users"/);
  });

  test("E10: a certificate that is broken leaves the old one, and a new one counts", async () => {
    const running = server();
    const { url } = await running.ready();
    const before = await serial(url!);
    const old = readFileSync(file("server.pem"), "utf8");
    writeFileSync(file("server.pem"), "garbage");
    await running.hangUp(HELD);
    expect(running.stderr.text).toMatch(/"reason":"--tls-cert /);
    expect(await serial(url!)).toBe(before);
    writeFileSync(file("server.pem"), old);
    await outcomeOf(["cert", "server", folder, "--host", "127.0.0.1", "--renew"]);
    await running.hangUp(AGAIN);
    expect(await serial(url!)).not.toBe(before);
  });

  it("sees new users by itself", async () => {
    const running = server();
    await running.ready();
    users("bob");
    const text = await running.stderr.until(AGAIN);
    expect(text).toMatch(/"msg":"users changed"/);
  });

  it("warns when nobody may do anything", async () => {
    writeFileSync(file("users.yaml"), JSON.stringify({ version: 1, users: { bob: { keys: [key] } } }));
    const running = server();
    await running.ready();
    expect(running.stderr.text).toMatch(
      /"level":"warn".*"msg":"clients may do nothing yet: .*--allow-connect/,
    );
  });
});

describe("T1: a server whose users have certificates, and which asks nobody for one", () => {
  const UNASKED =
    /"level":"warn".*"msg":"users have certificates, and no client is asked for one: .*--tls-client-ca/;
  const laptop = { certificates: ["dns:laptop"], connect: { allow: ["127.0.0.1:1"] } };
  const write = (all: object) =>
    writeFileSync(file("users.yaml"), JSON.stringify({ version: 1, users: all }));

  it("says so, and the client is told the same", async () => {
    await outcomeOf(["cert", "client", folder, "--name", "laptop"]);
    write({ laptop });
    const running = server();
    const { url } = await running.ready();
    expect(running.stderr.text).toMatch(UNASKED);
    const own = ["--cert", file("laptop.pem"), "--key", file("laptop-key.pem")];
    const refused = client(url!, "--ca", file("ca.pem"), ...own);
    expect(await refused.exitCode).toBe(77);
    expect(refused.stderr.text).toMatch(/"reason":"[^"]*401; give the users file .* --tls-client-ca/);
  });

  it("says so when such users come by a reload; and not where clients are asked", async () => {
    const running = server();
    await running.ready();
    expect(running.stderr.text).not.toMatch(UNASKED);
    write({ laptop });
    await running.hangUp(UNASKED);
    const asking = server("--tls-client-ca", file("ca.pem"));
    await asking.ready();
    expect(asking.stderr.text).not.toMatch(UNASKED);
  });
});

describe("a server without a certificate", () => {
  const PLAIN = /"level":"warn".*"msg":"nothing is encrypted on this port: .*--tls-cert/;

  it("says that nothing is encrypted, where others can reach it", async () => {
    const flags = ["--port", "0", "--json", "--users", file("users.yaml")];
    const open = new Running("server", "--host", "0.0.0.0", ...flags);
    await open.ready();
    expect(open.stderr.text).toMatch(PLAIN);
    const local = new Running("server", ...flags);
    await local.ready();
    expect(local.stderr.text).not.toMatch(PLAIN);
  });
});

describe("a client", () => {
  it("says that nothing is encrypted, beyond this machine", async () => {
    const flags = ["-L", "0:a:1", "--connect-timeout", "1ms", "--retry-max", "1"];
    for (const login of [
      ["--token-file", file("alice.token")],
      ["--login-key", file("bob.key")],
    ]) {
      const { stderr } = await outcomeOf(["client", "ws://192.0.2.1:9", ...flags, ...login]);
      expect(stderr).toMatch(/"level":"warn".*all data cross the network unencrypted: use wss/);
    }
  });

  test("E10: takes new authorities at SIGHUP, and keeps the old ones when they are broken", async () => {
    const { url } = await server().ready();
    await outcomeOf(["cert", "ca", join(folder, "other")]);
    const other = readFileSync(join(folder, "other", "ca.pem"), "utf8");
    const right = readFileSync(file("ca.pem"), "utf8");
    const ca = file("client-ca.pem");
    writeFileSync(ca, right);
    const running = client(url!, "--ca", ca, "--token-file", file("alice.token"));
    await running.ready();
    writeFileSync(ca, "garbage");
    await running.hangUp(HELD);
    expect(running.stderr.text).toMatch(/"reason":"--ca /);
    writeFileSync(ca, `${other}${right}`);
    await running.hangUp(AGAIN);
    expect(running.stderr.text).toMatch(/"what":"certificates"/);
  });
});
