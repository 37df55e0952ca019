import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { chmodSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { encodeHello } from "@culvert/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeNote } from "../../packages/protocol/src/frame.ts";
import { request, upgradeHeaders } from "../../packages/server/test/support/raw-http.ts";
import { Culvert } from "../e2e/support/culvert.ts";
import { echoOnce, Service } from "../e2e/support/sockets.ts";
import { Authority } from "../support/authority.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";
import { helloOf, RawClient, upgraded } from "./support/raw-client.ts";

const NOBODY = "ws://127.0.0.1:1";
const TOKEN = "a-token-of-some-length";
const TUNNEL = ["-L", "0:127.0.0.1:1"];

let folder: TemporaryFolder;
const at = (name: string): string => join(folder.path, name);
/** A file, with who may read it. */
function file(name: string, content: string, mode = 0o600): void {
  writeFileSync(at(name), content);
  chmodSync(at(name), mode);
}

beforeAll(async () => {
  folder = new TemporaryFolder();
  await certificates();
  usersFiles();
  file("token", `${TOKEN}\r\n\n`);
  file("empty", "");
  file("short", "fifteen-letters");
  file("long", "x".repeat(1025));
  file("spaced", "a token with spaces in it");
  file("umlaut", "ein-schlüssel-der-lang-ist");
  file("open", TOKEN, 0o644);
  file("group", TOKEN, 0o640);
  file("image", "x".repeat(100_000));
  mkdirSync(at("folder"));
  symlinkSync(at("circle"), at("circle"));
  execFileSync("mkfifo", ["-m", "600", at("fifo")]);
});
afterAll(() => folder[Symbol.dispose]());

/** One server's, one of another key, and keys that are none. */
async function certificates(): Promise<void> {
  const ca = await Authority.create();
  const [one, another] = [await ca.issue(), await ca.issue()];
  file("cert.pem", one.cert, 0o644);
  file("key.pem", one.key);
  file("other-key.pem", another.key);
  file("open-key.pem", one.key, 0o644);
  file("half.pem", one.cert.slice(0, 300), 0o644);
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const login = generateKeyPairSync("ed25519").privateKey;
  file("login.pem", login.export({ type: "pkcs8", format: "pem" }) as string);
  const cipher = { cipher: "aes-256-cbc", passphrase: "secret" };
  file("encrypted.pem", privateKey.export({ type: "pkcs8", format: "pem", ...cipher }) as string);
}

function usersFiles(): void {
  const users = (text: string): string => `version: 1\nusers:\n  alice: ${text}\n`;
  const RULES = `{ connect: { allow: ["10.0.0.0/8:80"], deny: ["10.0.0.0/8:*"] } }`;
  file("misspelt.yaml", users("{ conect: { allow: [] } }"));
  file("token.yaml", users(`{ tokens: ["${TOKEN}"] }`));
  file("users.yaml", users(RULES));
  file("bom.yaml", `\ufeff${users(RULES)}`);
  file("latin.yaml", users("{ }"));
  writeFileSync(at("latin.yaml"), Buffer.from(users('{ tokens: ["\xfc"] }'), "latin1"));
  file("include.yaml", users("!include include.yaml"));
  file("two.yaml", `${users("{ }")}---\n${users("{ }")}`);
  // Ten levels of ten aliases: ten billion values.
  const levels = Array.from(
    { length: 10 },
    (_, n) => `a${n}: &a${n} [${Array(10).fill(n === 0 ? "x" : `*a${n - 1}`)}]`,
  );
  file("bomb.yaml", `${levels.join("\n")}\nversion: 1\nusers: *a9\n`);
  file("deep.yaml", `version: 1\nusers: ${"[".repeat(100_000)}\n`);
  // Holes: who reads them through takes minutes for the second.
  for (const [name, bytes] of [
    ["hundred", 100 * 1024 ** 2],
    ["endless", 1024 ** 4],
  ] as const) {
    file(name, "");
    truncateSync(at(name), bytes);
  }
}

type Row = readonly [id: string, args: string, names: RegExp, env: Readonly<Record<string, string>>];
const command = (id: string, args: string, names: RegExp): Row => [id, args, names, {}];
const server = (id: string, flags: string, names: RegExp, env = {}): Row => [
  id,
  `server ${flags}`,
  names,
  env,
];
const client = (id: string, flags: string, names: RegExp, env = {}): Row => [
  id,
  `client ${NOBODY} ${flags}`,
  names,
  env,
];

/** `%` is the folder of the files above. */
const ROWS: readonly Row[] = [
  server("G1", "--tokn-file x", /--tokn-file: did you mean --token-file\?/),
  server("G1", "--nonsense", /no flag --nonsense/),
  client("G1", "-X 1:h:2", /no flag -X/),
  server("G1", "", /CULVERT_TOKN .*did you mean CULVERT_TOKEN\?/, { CULVERT_TOKN: TOKEN }),
  command("G1", "sever", /sever is not a command: did you mean server\?/),
  client("G2", "-L 5000:h:80 -L 127.0.0.1:5000:h:81", /same place/),
  client("G2", "-L 5000:h:80 -L *:5000:h:81", /same place/),
  client("G2", "-R 5000:h:80 -R 5000:h:81", /same place/),
  client("G3", "-L 0:h:0", /port/),
  client("G3", "-L 65536:h:80", /port/),
  client("G3", "-R 80a:h:80", /port/),
  client("G3", "-L -1:h:80", /port|flag/),
  client("G3", "-L 9000-8000:h:80", /port/),
  client("G3", "-L 08:h:80", /port/),
  client("G3", "-L 1:h:99999999999999999999", /port/),
  server("G3", "--port 65536", /--port 65536 is not a port/),
  server("G3", "--port 1e3", /--port 1e3 is not a port/),
  server("G4", "--token-file %/empty", /is empty/),
  server("G4", "--token-file %/short", /15 characters, at least 16/),
  server("G4", "--token-file %/long", /longer than 1024/),
  server("G4", "--token-file %/spaced", /space/),
  server("G4", "--token-file %/umlaut", /beyond ASCII/),
  server("G4", "--token-file %/missing", /no such file/),
  server("G4", "--token-file %/open", /other users may read.*644/),
  server("G4", "--token-file %/group", /other users may read.*640/),
  server("G4", "--token-file %/folder", /directory/),
  server("G4", "--token-file %/fifo", /regular file/),
  server("G4", "--token-file /dev/zero", /regular file/),
  server("G4", "--token-file %/image", /larger than 64 KiB/),
  server("G4", "--token-file %/circle", /circle/),
  server("G4", "", /CULVERT_TOKEN is empty/, { CULVERT_TOKEN: "" }),
  server("G4", "", /15 characters/, { CULVERT_TOKEN: "fifteen-letters" }),
  server("T1", "", /CULVERT_TOKEN_FILE is empty/, { CULVERT_TOKEN_FILE: "" }),
  server("T1", "--host 0.0.0.0", /must be authenticated: .*--token-file.*--users.*--no-auth/),
  server("T1", "--host ::", /must be authenticated/),
  server("T1", "--no-auth --token-file %/token", /--no-auth lets everybody in, so/),
  server("T1", "--token-file -", /stdin gave nothing/),
  client("G1", "-L 1:h:2 --login-keys x", /did you mean --login-key\?/),
  server("G1", "--allow-conect h:1", /did you mean --allow-connect\?/),
  server("G1", "--users %/misspelt.yaml", /users\.alice: there is no key "conect": did you mean connect\?/),
  command("G1", "cert sever certs", /did you mean server\?/),
  server("G3", "--allow-connect h:65536", /--allow-connect\[0\] "h:65536": /),
  server("G3", "--allow-connect h:0", /--allow-connect\[0\] "h:0": /),
  server("G3", "--allow-connect h:80a", /--allow-connect\[0\] "h:80a": /),
  server("G3", "--allow-listen 9000-8000", /--allow-listen\[0\] "9000-8000": /),
  server("G3", "--allow-listen 70000", /--allow-listen\[0\] "70000": /),
  server("G3", "--public-name h:65536", /--public-name/),
  command("G3", "cert ca certs --days 0", /--days/),
  client("G4", "-L 1:h:2 --token-file %/open", /other users may read.*644/),
  client("G4", "-L 1:h:2 --login-key %/open-key.pem", /--login-key .*other users may read.*644/),
  client("G4", "-L 1:h:2 --login-key %/fifo", /--login-key .*regular file/),
  server("G5", "--tls-cert %/cert.pem", /--tls-key is missing/),
  server("G5", "--tls-key %/key.pem", /--tls-cert is missing/),
  server("G5", "--tls-client-ca %/cert.pem", /--tls-cert is missing/),
  server(
    "G5",
    "--tls-cert %/cert.pem --tls-key %/other-key.pem",
    /--tls-key is not the key of the certificate/,
  ),
  server(
    "G5",
    "--tls-cert %/cert.pem --tls-key %/encrypted.pem",
    /the key is encrypted; take the passphrase off/,
  ),
  server("G5", "--tls-cert %/cert.pem --tls-key %/open-key.pem", /other users may read.*chmod 600/),
  server("G5", "--tls-cert %/cert.pem --tls-key %/token", /--tls-key .*PEM/),
  server("G5", "--tls-cert %/half.pem --tls-key %/key.pem", /--tls-cert /),
  server("G5", "--tls-cert %/key.pem --tls-key %/key.pem", /--tls-cert holds a private key .*mixed up\?$/m),
  server("G5", "--tls-cert %/missing --tls-key %/key.pem", /no such file/),
  client("G5", "-L 1:h:2 --ca %/cert.pem", /mean nothing for ws:\/\//),
  command("G5", "client wss://127.0.0.1:1 -L 1:h:2 --cert %/cert.pem", /--key is missing/),
  command("G5", "client wss://127.0.0.1:1 -L 1:h:2 --key %/key.pem", /--cert, which is missing/),
  command("G5", "client wss://127.0.0.1:1 -L 1:h:2 --ca %/token", /--ca .*PEM/),
  command("G5", "client wss://127.0.0.1:1 -L 1:h:2 --pin sha256/short", /--pin .*is not the hash of a key/),
  command("G5", "client wss://127.0.0.1:1 -L 1:h:2 --login-key %/key.pem", /--login-key.*not Ed25519/),
  server("G6", "--allow-connect 10.0.0.1/8:80", /bits behind the prefix; write 10\.0\.0\.0\/8/),
  server("G6", "--allow-connect 10.0.0.0/33:80", /--allow-connect\[0\] "10\.0\.0\.0\/33:80": /),
  server("G6", "--allow-connect 10.0.0/8:80", /--allow-connect\[0\] "10\.0\.0\/8:80": /),
  server("G6", "--allow-connect=", /--allow-connect\[0\] "": /),
  server("G6", "--allow-connect db", /the ports? (?:is|are) missing/),
  server("G6", "--allow-connect lopback:80", /did you mean loopback\?/),
  server("G6", "--allow-connect tcp://db:80", /--allow-connect\[0\] "tcp:\/\/db:80": /),
  server("G6", "--allow-listen db:80", /a rule to listen begins with an address/),
  command("G6", "policy check --allow-connect 10.0.0.1/8:80 connect h:1", /bits behind the prefix/),
  command("G6", "policy check --users %/users.yaml --as bob connect h:1", /--as bob is not one of the users/),
  server("G7", "--grace 10", /not a duration/),
  server("G7", "--grace 10x", /not a duration/),
  server("G7", "--grace -1s", /not a duration/),
  server("G7", "--grace 1e9h", /not a duration/),
  server("G7", "--grace 99999999h", /out of range/),
  server("G7", "--ping-interval 0", /out of range/),
  server("G7", "--ping-interval 30s", /--silence-timeout must be longer/),
  client("G7", "-L 1:h:2 --retry-base 0.5s", /not a duration/),
  server("G8", "--replay-limit 1G", /not a size/),
  server("G8", "--replay-limit -1", /not a size/),
  server("G8", "--replay-limit 1.5KB", /not a size/),
  server("G8", "--replay-limit 1024GiB", /more than the memory|out of range/),
  server("G8", "--max-streams 0", /out of range/),
  server("G8", "--max-streams 1e3", /not a whole number/),
  server("G9", "--users %/empty", /is empty/),
  server("G9", "--users %/latin.yaml", /not UTF-8/),
  server("G9", "--users %/bomb.yaml", /%\/bomb\.yaml|bomb\.yaml.*alias/),
  server("G9", "--users %/deep.yaml", /deep\.yaml: .*nested/),
  server("G9", "--users %/hundred", /larger than 1024 KiB/),
  server("G9", "--users %/endless", /larger than 1024 KiB/),
  server("G9", "--users %/circle", /circle/),
  server("G9", "--users %/include.yaml", /tag/),
  server("G9", "--users %/two.yaml", /document/),
  server("G9", "--users %/folder", /directory/),
  server("G9", "--users %/fifo", /regular file/),
  server("G9", "--users /dev/zero", /regular file/),
  server("G9, T5", "--users %/token.yaml", /users\.alice\.tokens\[0\]/),
  server("G9", "--tls-cert %/endless --tls-key %/key.pem", /larger than/),
  server("G9", "--tls-cert %/circle --tls-key %/key.pem", /circle/),
  client("G9", "-L 1:h:2 --header @%/endless", /larger than/),
  command("G9", "policy check --users %/endless", /larger than 1024 KiB/),
  command("G10", "client ftp://h -L 1:h:2", /must begin with ws:\/\//),
  command("G10", "client ws:// -L 1:h:2", /no host/),
  command("G10", "client h:9000 -L 1:h:2", /did you mean ws:\/\/h:9000\?/),
  command("G10", "client ws://u:secret@h -L 1:h:2", /user name or password/),
  command("G10", "client ws://::1:9000 -L 1:h:2", /without brackets/),
  command("G10", "client ws://h/#x -L 1:h:2", /fragment/),
  command("G10", "client ws://h:65536 -L 1:h:2", /not valid/),
  server("G12", "", /both set/, { CULVERT_TOKEN: TOKEN, CULVERT_TOKEN_FILE: "/x" }),
  client("G12", "-L 1:h:2 --header Authorization:x", /sets Authorization/, { CULVERT_TOKEN: TOKEN }),
  server("G12", `--token ${TOKEN}`, /no flag --token/),
  client("G12", "-L 1:h:2 --token-file %/token --login-key %/key.pem", /exclude each other/),
  client("G12", "-L 1:h:2", /both set/, { CULVERT_TOKEN: TOKEN, CULVERT_LOGIN_KEY_FILE: "/x" }),
  client("G12", "-L 1:h:2 --login-key %/login.pem --header Authorization:x", /sets Authorization/),
];

describe("4.G: exit 2, with one sentence that names what is wrong, and nothing started", () => {
  test.each(ROWS)("%s culvert %s", async (_id, args, names, env) => {
    const words = args.split(" ").filter((word) => word !== "");
    await using culvert = await Culvert.run(
      words.map((word) => word.replaceAll("%", folder.path)),
      { env },
    );
    expect((await culvert.exit()).code).toBe(2);
    expect(culvert.stdout.text).toBe("");
    expect(culvert.stderr.text).toMatch(names);
    // One line, no stack, and nothing of a secret.
    expect(culvert.stderr.text).toMatch(/^culvert: [^\n]+[.?]$/);
    for (const secret of [TOKEN, "fifteen-letters", "secret"])
      expect(culvert.stderr.text).not.toContain(secret);
  });
});

describe("4.G: what is odd and right", () => {
  test("G4 line breaks behind a token do not count; G12 the flag counts before the environment", async () => {
    await using guarded = await Culvert.run(
      ["server", "--json", "--port", "0", "--token-file", at("token")],
      {
        env: { CULVERT_TOKEN: "another-token-of-some-length" },
      },
    );
    await guarded.ready("server");
    await using visitor = await Culvert.run(["client", guarded.url, "--json", ...TUNNEL], {
      env: { CULVERT_TOKEN: TOKEN },
    });
    await visitor.ready("client");
  });

  test("G6 a deny that swallows an allow: the file is right, and policy check names both rules", async () => {
    for (const name of ["users.yaml", "bom.yaml"]) {
      await using right = await Culvert.run(["policy", "check", "--users", at(name)]);
      expect((await right.exit()).code).toBe(0);
      const ask = ["--as", "alice", "connect", "10.0.0.5:80"];
      await using asked = await Culvert.run(["policy", "check", "--users", at(name), ...ask]);
      expect((await asked.exit()).code).toBe(1);
      expect(asked.stdout.text).toMatch(
        /denied by users\.alice\.connect\.deny\[0\] .*wins over users\.alice\.connect\.allow\[0\]/,
      );
    }
  });

  test("G16 variables of proxies, right or wrong, are not read", async () => {
    await using open = await Culvert.server();
    for (const proxy of ["http://127.0.0.1:1", "nonsense", "socks5://[", ""]) {
      const env = {
        HTTP_PROXY: proxy,
        HTTPS_PROXY: proxy,
        http_proxy: proxy,
        ALL_PROXY: proxy,
        NO_PROXY: "[",
      };
      await using visitor = await Culvert.run(["client", open.url, "--json", ...TUNNEL], { env });
      await visitor.ready("client");
    }
  });

  test.each(["http", "HTTP", "ws"])("G10 %s:// is a WebSocket", async (scheme) => {
    await using open = await Culvert.server();
    const url = `${scheme}://127.0.0.1:${open.port}`;
    await using visitor = await Culvert.run(["client", url, "--json", ...TUNNEL]);
    await visitor.ready("client");
  });
});

describe("4.G: exit 69, with the reason, and nothing half-started", () => {
  test.each([
    ["G11", "an address that is not of this machine", ["--host", "192.0.2.1"], /does not belong/],
    ["G11", "a host that does not resolve", ["--host", "no-such-host.invalid"], /no-such-host\.invalid/],
  ])("%s %s", async (_id, _words, flags, names) => {
    await using culvert = await Culvert.run(["server", "--port", "0", ...flags], {
      env: { CULVERT_TOKEN: TOKEN },
    });
    expect((await culvert.exit()).code).toBe(69);
    expect(culvert.stdout.text).toBe("");
    expect(culvert.stderr.text).toMatch(names);
  });

  test("G14 a second server in the same place; there is no file that says that one runs", async () => {
    await using service = await Service.echo();
    await using first = await Culvert.server();
    await using client = await Culvert.client(first.url, ["-L", `0:127.0.0.1:${service.port}`]);
    await using second = await Culvert.run(["server", "--port", String(first.port)]);
    expect((await second.exit()).code).toBe(69);
    expect(second.stderr.text).toMatch(/in use.*--port/);
    await echoOnce(client.tunnelPorts[0]!);
  });

  test("G11 a port in use, at the client", async () => {
    await using occupant = await Service.echo();
    await using open = await Culvert.server();
    await using culvert = await Culvert.run(["client", open.url, "-L", `${occupant.port}:h:1`]);
    expect((await culvert.exit()).code).toBe(69);
    expect(culvert.stderr.text).toMatch(/in use/);
    expect(open.stderr.all("session attached")).toEqual([]);
  });
});

describe("3.3: what strangers can make it log", () => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
  const RAW = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029]/;
  const EVIL = `\u001b]0;owned\u0007\r\nforged: line\u202e${"x".repeat(900)}`;

  test.each(["json", "pretty"])(
    "T49 a note that steers terminals: one line of %s, cut and escaped",
    async (format) => {
      await using culvert = await Culvert.server(["--log-format", format]);
      using stranger = await RawClient.open(culvert.port);
      stranger.send(encodeNote(EVIL));
      await stranger.answers();
      const { text } = await culvert.stderr.waitFor("note from the client");
      expect(text).not.toMatch(RAW);
      expect(Buffer.byteLength(text)).toBeLessThan(800);
      expect(culvert.stderr.all(/^forged/)).toEqual([]);
    },
  );

  test("T49 names that steer terminals are refused, and not repeated raw", async () => {
    await using culvert = await Culvert.server(["--log-format", "pretty"]);
    using web = await upgraded(culvert.port);
    web.send(encodeHello(helloOf({ name: EVIL.slice(0, 200) })));
    await web.closed;
    const { text } = await culvert.stderr.waitFor("handshake failed");
    expect(text).not.toMatch(RAW);
  });

  test("T50 2,000 requests that are refused: a few hundred lines", async () => {
    await using culvert = await Culvert.server(["--log-format", "json"]);
    const text = request("GET /nowhere", upgradeHeaders());
    for (let round = 0; round < 40; round += 1) {
      const refusals = Array.from({ length: 50 }, () => {
        const socket = connect(culvert.port, "127.0.0.1");
        socket.on("error", () => undefined);
        socket.end(text);
        socket.resume();
        return new Promise((resolve) => socket.once("close", resolve));
      });
      await Promise.all(refusals);
    }
    using stranger = await RawClient.open(culvert.port);
    stranger.send(encodeNote("the end"));
    await culvert.stderr.waitFor("the end");
    const lines = culvert.stderr.all("upgrade refused");
    expect(lines.length).toBeGreaterThan(100);
    expect(lines.length).toBeLessThan(400);
    expect(Buffer.byteLength(culvert.stderr.text)).toBeLessThan(200_000);
  });
});
