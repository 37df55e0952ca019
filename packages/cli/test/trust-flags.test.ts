import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newLoginKey } from "@culvert/peer";
import { beforeAll, describe, expect, it, test } from "vitest";
import { parseCommandLine } from "../src/program.ts";
import { UsageError } from "../src/usage-error.ts";
import { outcomeOf, sentenceOf, temporaryFile } from "./support.ts";

const TOKEN = "0123456789abcdef0123456789abcdef";
const PIN = `sha256/${"A".repeat(43)}=`;
const URL = "wss://host2:9000";
const L = ["-L", "8080:db:5432"];
const USERS = "version: 1\nusers: { alice: { connect: { allow: ['db:5432'] } } }\n";

/** Files that are made once and only read. */
let folder: string;
const pem = (name: string): string => join(folder, `${name}.pem`);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "culvert-trust-"));
  await outcomeOf(["cert", "ca", folder]);
  await outcomeOf(["cert", "server", folder, "--host", "127.0.0.1"]);
  await outcomeOf(["cert", "client", folder, "--name", "laptop"]);
  return () => rmSync(folder, { recursive: true });
});

/** The sentence that ends a command before it starts; nothing secret is in it. */
async function refusal(argv: string[], env: Record<string, string> = {}): Promise<string> {
  const { exitCode, stdout, stderr } = await outcomeOf(argv, { env });
  expect([exitCode, stdout]).toEqual([2, ""]);
  expect(stderr).not.toMatch(/canary|MIG/);
  expect(stderr.split("\n")).toHaveLength(2);
  return stderr.replace(/^culvert: /, "").trimEnd();
}

describe("culvert server", () => {
  it("reads certificates and users", () => {
    const users = temporaryFile(USERS);
    const flags = ["--tls-cert", pem("server"), "--tls-key", pem("server-key"), "--tls-client-ca", pem("ca")];
    const plan = parseCommandLine(["server", ...flags, "--users", users], {});
    if (plan.kind !== "server") throw new Error(plan.kind);
    expect(plan.options.tls).toEqual({
      cert: readFileSync(pem("server"), "utf8"),
      key: readFileSync(pem("server-key"), "utf8").trimEnd(),
      clientCa: readFileSync(pem("ca"), "utf8"),
    });
    expect([...(plan.options.users?.byName.keys() ?? [])]).toEqual(["alice"]);
    expect(plan.options.noAuth).toBe(false);
    expect(parseCommandLine(["server", "--no-auth"], {})).toMatchObject({ options: { noAuth: true } });
  });

  test.each<[string, () => string[], RegExp]>([
    ["a certificate without a key", () => ["--tls-cert", pem("server")], /^--tls-key is missing: /],
    ["a key without a certificate", () => ["--tls-key", pem("server-key")], /^--tls-cert is missing: /],
    ["client CAs without both", () => ["--tls-client-ca", pem("ca")], /^--tls-cert is missing: /],
    [
      "a key of another certificate",
      () => ["--tls-cert", pem("server"), "--tls-key", pem("laptop-key")],
      /^--tls-key is not the key of the certificate in --tls-cert/,
    ],
    [
      "certificate and key mixed up",
      () => ["--tls-cert", pem("server-key"), "--tls-key", temporaryFile(readFileSync(pem("server")))],
      /^--tls-cert holds a private key .*mixed up\?$/,
    ],
    [
      "no PEM",
      () => ["--tls-cert", temporaryFile("canary"), "--tls-key", pem("server-key")],
      /^--tls-cert .*PEM.*\.$/,
    ],
    [
      "an encrypted key",
      () => [
        ...["--tls-cert", pem("server")],
        ...["--tls-key", temporaryFile("-----BEGIN ENCRYPTED PRIVATE KEY-----\ncanary\n")],
      ],
      /^--tls-key \S+: the key is encrypted; take the passphrase off, as in: .*openssl pkey/,
    ],
    [
      "a key that others may read",
      () => ["--tls-cert", pem("server"), "--tls-key", temporaryFile("canary", 0o644)],
      /^--tls-key \S+: other users may read or change the file \(mode 644\); run chmod 600 \S+\.$/,
    ],
    [
      "a file of CAs that everybody may change",
      () => [
        ...["--tls-cert", pem("server"), "--tls-key", pem("server-key")],
        ...["--tls-client-ca", temporaryFile("x", 0o666)],
      ],
      /^--tls-client-ca \S+: every user of this machine may change the file \(mode 666\); run chmod o-w \S+\.$/,
    ],
    [
      "no such file",
      () => ["--tls-cert", "/none", "--tls-key", "/none"],
      /^--tls-cert \/none: there is no such file\.$/,
    ],
  ])("G5: refuses %s", async (_name, flags, sentence) => {
    expect(await refusal(["server", "--port", "0", ...flags()])).toMatch(sentence);
  });

  test.each<[string, string[], RegExp]>([
    ["host bits", ["--allow-connect", "10.0.0.1/8:*"], /^--allow-connect\[0\] "10\.0\.0\.1\/8:\*": /],
    ["no ports", ["--allow-connect", "db:1", "--allow-connect", "db"], /^--allow-connect\[1\] "db": /],
    ["an empty rule", ["--allow-listen", ""], /^--allow-listen\[0\] "": /],
    ["a reversed range", ["--allow-listen", "9-8"], /^--allow-listen\[0\] "9-8": /],
  ])("G6: refuses a rule with %s", async (_name, flags, sentence) => {
    expect(await refusal(["server", "--port", "0", ...flags])).toMatch(sentence);
  });

  test("T1: what is set up and would not be in force stops the start", async () => {
    const users = temporaryFile(USERS);
    const token = temporaryFile(TOKEN);
    const leave = /^--no-auth lets everybody in, so .* would count for nothing: leave out one of them\.$/;
    expect(await refusal(["server", "--no-auth", "--users", users])).toMatch(leave);
    expect(await refusal(["server", "--no-auth", "--token-file", token])).toMatch(leave);
    expect(await refusal(["server", "--no-auth"], { CULVERT_TOKEN: TOKEN })).toMatch(leave);
    expect(await refusal(["server"], { CULVERT_TOKEN: "" })).toMatch(/^CULVERT_TOKEN is empty; /);
    expect(await refusal(["server", "--users", ""])).toMatch(/^--users "": there is no such file\.$/);
    expect(await refusal(["server", "--users", temporaryFile("version: 1\nusers: {}\nuser: {}\n")])).toMatch(
      /did you mean users/,
    );
    expect(await refusal(["server", "--host", "0.0.0.0"])).toMatch(
      /^--host 0\.0\.0\.0 .*--token-file.*--users.*\(the --no-auth option\)\.$/,
    );
  });

  it("refuses an audit log that cannot be written", async () => {
    expect(await refusal(["server", "--port", "0", "--audit-log", "/none/audit.log"])).toBe(
      "--audit-log /none/audit.log cannot be written (ENOENT): name a file in a directory where this user may write.",
    );
  });
});

describe("culvert client", () => {
  it("reads what it trusts and what it shows", () => {
    const flags = ["--ca", pem("ca"), "--pin", PIN, "--pin", PIN, "--server-name", "other.example"];
    const own = ["--cert", pem("laptop"), "--key", pem("laptop-key")];
    expect(parseCommandLine(["client", URL, ...L, ...flags, ...own], {})).toMatchObject({
      options: {
        tls: {
          ca: readFileSync(pem("ca"), "utf8"),
          pins: [PIN, PIN],
          serverName: "other.example",
          cert: readFileSync(pem("laptop"), "utf8"),
        },
      },
    });
    const plan = parseCommandLine(["client", URL, ...L], {});
    if (plan.kind !== "client") throw new Error(plan.kind);
    expect(plan.options).not.toHaveProperty("tls");
  });

  it("logs in by a key, from a flag or the environment", () => {
    const { pem: key } = newLoginKey();
    const [file, other] = [temporaryFile(key), temporaryFile(newLoginKey().pem)];
    const options = { key: key.trimEnd(), token: undefined };
    expect(parseCommandLine(["client", URL, ...L, "--login-key", file], {})).toMatchObject({ options });
    expect(parseCommandLine(["client", URL, ...L], { CULVERT_LOGIN_KEY_FILE: file })).toMatchObject({
      options,
    });
    // A flag counts before the environment, also one of the other kind.
    for (const env of [{ CULVERT_TOKEN: TOKEN }, { CULVERT_LOGIN_KEY_FILE: other }]) {
      expect(parseCommandLine(["client", URL, ...L, "--login-key", file], env)).toMatchObject({ options });
    }
    const token = temporaryFile(TOKEN);
    const plan = parseCommandLine(["client", URL, ...L, "--token-file", token], {
      CULVERT_LOGIN_KEY_FILE: file,
    });
    expect(plan).toMatchObject({ options: { token: TOKEN } });
  });

  it("reads a token in a file again for each dial", () => {
    const file = temporaryFile(TOKEN);
    const plan = parseCommandLine(["client", URL, ...L, "--token-file", file], {});
    if (plan.kind !== "client") throw new Error(plan.kind);
    expect(plan.readToken?.()).toBe(TOKEN);
    expect(plan.secrets.blot(`x ${TOKEN}`)).toBe("x [secret]");
    const fromVariable = parseCommandLine(["client", URL, ...L], { CULVERT_TOKEN: TOKEN });
    expect(fromVariable).toMatchObject({ readToken: undefined });
  });

  test("G12: two ways to log in are refused, or have an order", async () => {
    const [token, key] = [temporaryFile(TOKEN), temporaryFile(newLoginKey().pem)];
    const argv = ["client", URL, ...L];
    expect(await refusal([...argv, "--token-file", token, "--login-key", key])).toBe(
      "--token-file and --login-key exclude each other: leave out one of them.",
    );
    for (const env of [{ CULVERT_TOKEN: TOKEN }, { CULVERT_TOKEN_FILE: token }]) {
      expect(await refusal(argv, { ...env, CULVERT_LOGIN_KEY_FILE: key })).toMatch(
        /^CULVERT_TOKEN(_FILE)? and CULVERT_LOGIN_KEY_FILE are both set: unset one of them\.$/,
      );
    }
    expect(await refusal([...argv, "--login-key", key, "--header", "Authorization: x"])).toBe(
      "--header sets Authorization, which --login-key sets too: remove one of them.",
    );
    expect(await refusal(argv, { CULVERT_LOGIN_KEY_FILE: "" })).toMatch(/^CULVERT_LOGIN_KEY_FILE is empty: /);
    expect(await refusal(argv, { CULVERT_LOGIN_KEY: "canary" })).toMatch(
      /did you mean CULVERT_LOGIN_KEY_FILE\?$/,
    );
  });

  test.each<[string, () => string[], RegExp]>([
    ["a certificate without a key", () => ["--cert", pem("laptop")], /^--key is missing: /],
    [
      "a key without a certificate",
      () => ["--key", pem("laptop-key")],
      /^--key is the key of the certificate of --cert, which is missing; a key that logs in is given by --login-key\.$/,
    ],
    [
      "a key of another certificate",
      () => ["--cert", pem("laptop"), "--key", pem("server-key")],
      /^--key is not the key of the certificate in --cert/,
    ],
    ["no CA", () => ["--ca", temporaryFile("canary")], /^--ca .*PEM.*\.$/],
    [
      "no hash",
      () => ["--pin", "sha256:AAAA"],
      /^--pin sha256:AAAA is not the hash of a key: write sha256\//,
    ],
    [
      "a TLS key to log in by",
      () => ["--login-key", pem("laptop-key")],
      /^--login-key: the private key cannot be used: .*not Ed25519/,
    ],
    [
      "no key to log in by",
      () => ["--login-key", temporaryFile("canary")],
      /^--login-key: the private key cannot be used/,
    ],
    [
      "a key to log in by that others may read",
      () => ["--login-key", temporaryFile("canary", 0o640)],
      /^--login-key \S+: other users may read or change the file/,
    ],
    ["a bad name", () => ["--server-name", "a/b"], /^--server-name must be a host name/],
  ])("G5: refuses %s", async (_name, flags, sentence) => {
    expect(await refusal(["client", URL, ...L, ...flags()])).toMatch(sentence);
  });

  it("refuses to trust by what is never checked", async () => {
    expect(await refusal(["client", "ws://host2:9000", "http://host3", ...L, "--pin", PIN])).toMatch(
      /^--ca, --pin, --server-name, --cert and --key mean nothing for ws:\/\/ and http:\/\/, where nothing is encrypted/,
    );
    // Who can cut the way to the one has the token sent to the other.
    expect(await refusal(["client", URL, "ws://host2:9000", ...L, "--pin", PIN])).toMatch(
      /write wss:\/\/ in each URL/,
    );
    expect(parseCommandLine(["client", "ws://[::1]:9000", URL, ...L, "--pin", PIN], {}).kind).toBe("client");
  });
});

describe("a token from stdin", () => {
  test("T5: is asked for by -, and never shown", async () => {
    const argv = ["client", "ws://127.0.0.1:1", ...L, "--retry-max", "1", "--token-file", "-"];
    const { exitCode, stdout, stderr } = await outcomeOf([...argv, "--log-level", "trace"], {
      stdin: `${TOKEN}\n`,
    });
    expect([exitCode, stdout]).toEqual([69, ""]);
    expect(stderr).not.toContain(TOKEN);
    for (const [stdin, sentence] of [
      ["", /^culvert: the token is missing: stdin gave nothing\.\n$/],
      ["\n", /^culvert: the token is missing: stdin gave nothing\.\n$/],
      ["short\n", /^culvert: the token on stdin has 5 characters, at least 16 are needed; .*\n$/],
    ] as const) {
      const refused = await outcomeOf(argv, { stdin });
      expect([refused.exitCode, refused.stdout]).toEqual([2, ""]);
      expect(refused.stderr).toMatch(sentence);
    }
  });

  it("counts before the environment", () => {
    const env = { CULVERT_TOKEN: TOKEN };
    const plan = parseCommandLine(["server", "--token-file", "-"], env);
    expect(plan).toMatchObject({ asksToken: true, options: { token: undefined } });
    expect(sentenceOf(() => parseCommandLine(["server", "--token-file", "-", "--no-auth"], env))).toMatch(
      /^--no-auth/,
    );
    expect(() => parseCommandLine(["server", "--token-file", ""], env)).toThrow(UsageError);
  });
});
