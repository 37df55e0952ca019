import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { encodeHello } from "@culvert/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeNote } from "../../packages/protocol/src/frame.ts";
import { request, upgradeHeaders } from "../../packages/server/test/support/raw-http.ts";
import { Culvert } from "../e2e/support/culvert.ts";
import { Service } from "../e2e/support/sockets.ts";
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

beforeAll(() => {
  folder = new TemporaryFolder();
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
];

describe("4.G: exit 2, with one sentence that names what is wrong, and nothing started", () => {
  test.each(ROWS)("%s culvert %s", async (_id, args, names, env) => {
    const words = args.split(" ").filter((word) => word !== "");
    await using culvert = await Culvert.run(
      words.map((word) => word.replace("%", folder.path)),
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
