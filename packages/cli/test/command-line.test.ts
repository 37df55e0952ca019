import { describe, expect, it } from "vitest";
import { type Plan, parseCommandLine } from "../src/program.ts";
import { sentenceOf, temporaryFile } from "./support.ts";

const TOKEN = "0123456789abcdef0123456789abcdef";
const URL = "ws://host2:9000";
const L = ["-L", "8080:db:5432"];

function serverPlan(...flags: string[]): Extract<Plan, { kind: "server" }> {
  const plan = parseCommandLine(["server", ...flags], {});
  if (plan.kind !== "server") throw new Error(plan.kind);
  return plan;
}

function clientPlan(...flags: string[]): Extract<Plan, { kind: "client" }> {
  const plan = parseCommandLine(["client", ...flags], {});
  if (plan.kind !== "client") throw new Error(plan.kind);
  return plan;
}

describe("culvert server", () => {
  it("has the defaults of the library", () => {
    const { options, output } = serverPlan();
    expect(options).toMatchObject({
      host: "127.0.0.1",
      port: 9000,
      path: "/",
      token: undefined,
      drainMs: 10_000,
    });
    expect(options.session).toMatchObject({ graceMs: 120_000, pingIntervalMs: 10_000, silenceMs: 25_000 });
    expect(output).toEqual({ json: false, logLevel: "info", logFormat: "auto" });
  });

  it("reads every flag", () => {
    const file = temporaryFile(TOKEN);
    const { options, output } = serverPlan(
      ...["--host", "[::1]", "--port", "0", "--path", "/tunnel", "--token-file", file],
      ...["--origin", "https://a.example", "--origin", "https://b.example:8443"],
      ...["--max-sessions", "5", "--max-unauthenticated", "6", "--handshake-timeout", "7s"],
      ...["--max-detached", "0", "--memory-budget", "16MiB", "--max-dials", "14", "--max-sockets", "19"],
      ...["--max-from-address", "15", "--max-upgrades", "16", "--head-timeout", "17s"],
      ...["--max-glitches", "18", "--idle-timeout", "1h", "--half-closed-timeout", "0"],
      ...["--grace", "0", "--ping-interval", "1s", "--silence-timeout", "3s", "--stall-timeout", "4s"],
      ...["--visitor-wait", "0s", "--open-timeout", "8s", "--dial-timeout", "9s", "--drain", "0"],
      ...[
        "--max-tunnels",
        "0",
        "--max-streams",
        "11",
        "--max-pending-opens",
        "12",
        "--max-waiting-opens",
        "13",
      ],
      ...[
        "--replay-limit",
        "1MiB",
        "--receive-budget",
        "2MiB",
        "--initial-window",
        "4KiB",
        "--max-window",
        "64KiB",
      ],
      ...["--json", "--log-level", "debug", "--log-format", "json"],
      ...["--log-file", "culvert.log", "--log-file-size", "1MiB", "--audit-log", "audit.log"],
      ...["--allow-connect", "db:5432", "--allow-connect", "10.0.0.0/8:*", "--allow-listen", "8000-8999"],
      ...[
        "--public-name",
        "host2.example",
        "--public-name",
        "10.0.0.1:9000",
        "--tls-handshake-timeout",
        "19s",
      ],
    );
    expect(options).toEqual({
      host: "::1",
      port: 0,
      path: "/tunnel",
      token: TOKEN,
      noAuth: false,
      publicNames: ["host2.example", "10.0.0.1:9000"],
      allowConnect: ["db:5432", "10.0.0.0/8:*"],
      allowListen: ["8000-8999"],
      tlsHandshakeTimeoutMs: 19_000,
      origins: ["https://a.example", "https://b.example:8443"],
      maxSessions: 5,
      maxUnauthenticated: 6,
      maxDetachedSessions: 0,
      memoryBudgetBytes: 16_777_216,
      maxDials: 14,
      maxSockets: 19,
      maxUnauthenticatedPerAddress: 15,
      maxUpgradesPerSecond: 16,
      headTimeoutMs: 17_000,
      handshakeTimeoutMs: 7000,
      dialTimeoutMs: 9000,
      drainMs: 0,
      session: {
        graceMs: 0,
        pingIntervalMs: 1000,
        silenceMs: 3000,
        stallMs: 4000,
        visitorWaitMs: 0,
        openTimeoutMs: 8000,
        maxTunnels: 0,
        maxStreams: 11,
        maxPendingOpens: 12,
        maxWaitingOpens: 13,
        replayLimitBytes: 1_048_576,
        receiveBudgetBytes: 2_097_152,
        initialWindowBytes: 4096,
        firstWindowBytes: 65_536,
        maxWindowBytes: 65_536,
        maxGlitchesPerMinute: 18,
        idleTimeoutMs: 3_600_000,
        halfClosedTimeoutMs: 0,
      },
    });
    expect(output).toEqual({
      json: true,
      logLevel: "debug",
      logFormat: "json",
      logFile: { path: "culvert.log", maxBytes: 1_048_576 },
      auditLog: { path: "audit.log", maxBytes: 1_048_576 },
    });
  });

  it.each([
    ["*", "0.0.0.0"],
    ["::", "::"],
    ["[::]", "::"],
    ["localhost", "localhost"],
  ])("takes --host %s", (given, host) => {
    expect(serverPlan("--host", given).options.host).toBe(host);
  });
});

describe("culvert client", () => {
  it("has the defaults of the library", () => {
    const { options } = clientPlan(URL, ...L);
    expect(options).toMatchObject({ server: [URL], token: undefined, headers: {}, drainMs: 10_000 });
    expect(options).not.toHaveProperty("name");
    expect(options.session).not.toHaveProperty("graceMs");
    expect(options.retry).toEqual({
      firstDelayMs: 0,
      baseMs: 500,
      factor: 2,
      capMs: 10_000,
      resumableCapMs: 1800,
      stableMs: 5_000,
      stickyMs: 10_000,
      retryAfterCapMs: 300_000,
      connectTimeoutMs: 10_000,
    });
  });

  it("reads every flag, wherever the URLs stand", () => {
    const { options } = clientPlan(
      ...["-L", "8080:db:5432", URL, "-R", "*:8022:localhost:22", "https://host3/tunnel?a=b"],
      ...["--local", "/run/in.sock:db:1", "--remote=[::1]:0:[2001:db8::1]:80"],
      ...["--name", "mine", "--header", "X-Route: blue", "--header", "Authorization: Basic x"],
      ...["--connect-timeout", "1s", "--dial-timeout", "2s", "--drain", "3s"],
      ...[
        "--retry-max",
        "4",
        "--retry-for",
        "5m",
        "--retry-first",
        "6ms",
        "--retry-base",
        "7ms",
        "--retry-factor",
        "1.5",
      ],
      ...[
        "--retry-cap",
        "8s",
        "--retry-resume-cap",
        "9s",
        "--retry-stable",
        "10s",
        "--retry-after-cap",
        "11s",
      ],
      ...["--retry-sticky", "12s", "--grace", "13s"],
    );
    expect(options).toMatchObject({
      server: [URL, "https://host3/tunnel?a=b"],
      tunnels: [
        { mode: "connect", listen: "tcp://127.0.0.1:8080", connect: "tcp://db:5432" },
        { mode: "connect", listen: "unix:///run/in.sock", connect: "tcp://db:1" },
        { mode: "listen", listen: "tcp://0.0.0.0:8022", connect: "tcp://localhost:22" },
        { mode: "listen", listen: "tcp://[::1]:0", connect: "tcp://[2001:db8::1]:80" },
      ],
      name: "mine",
      headers: { "X-Route": "blue", Authorization: "Basic x" },
      dialTimeoutMs: 2000,
      drainMs: 3000,
      session: { graceMs: 13_000 },
      retry: {
        connectTimeoutMs: 1000,
        maxAttempts: 4,
        maxElapsedMs: 300_000,
        firstDelayMs: 6,
        baseMs: 7,
        factor: 1.5,
        capMs: 8000,
        resumableCapMs: 9000,
        stableMs: 10_000,
        retryAfterCapMs: 11_000,
        stickyMs: 12_000,
      },
    });
  });
});

describe("the environment", () => {
  const env = {
    CULVERT_TOKEN: TOKEN,
    CULVERT_NAME: "env",
    CULVERT_LOG_LEVEL: "warn",
    CULVERT_LOG_FORMAT: "json",
  };

  it("counts before the default", () => {
    expect(parseCommandLine(["client", URL, ...L], env)).toMatchObject({
      options: { token: TOKEN, name: "env" },
      output: { logLevel: "warn", logFormat: "json" },
    });
  });

  it("counts after the flag, also when the flag says the default", () => {
    const file = temporaryFile("another-token-0123456789");
    const flags = ["--token-file", file, "--name", "flag", "--log-level", "info", "--log-format", "auto"];
    expect(parseCommandLine(["client", URL, ...L, ...flags], env)).toMatchObject({
      options: { token: "another-token-0123456789", name: "flag" },
      output: { logLevel: "info", logFormat: "auto" },
    });
  });

  it("is not set where it is empty, but for secrets", () => {
    const empty = { CULVERT_NAME: "", CULVERT_LOG_LEVEL: "", CULVERT_LOG_FORMAT: "" };
    expect(parseCommandLine(["client", URL, ...L], empty)).toMatchObject({ output: { logLevel: "info" } });
    expect(sentenceOf(() => parseCommandLine(["server"], { CULVERT_TOKEN: "" }))).toBe(
      "CULVERT_TOKEN is empty; make one with: openssl rand -hex 32.",
    );
  });

  it.each([
    [{ CULVERT_LOG_LEVEL: "inf" }, "CULVERT_LOG_LEVEL inf is not known: did you mean info?"],
    [{ CULVERT_LOG_FORMAT: "xml" }, "CULVERT_LOG_FORMAT xml is not known: write one of auto, pretty, json."],
    [
      { CULVERT_TOKN: TOKEN },
      "the environment variable CULVERT_TOKN is not known: did you mean CULVERT_TOKEN?",
    ],
    [
      { CULVERT_NAME: "a\nb" },
      "CULVERT_NAME must have 1 to 255 characters, and no control characters among them.",
    ],
  ])("is refused as %j", (wrong, sentence) => {
    expect(sentenceOf(() => parseCommandLine(["client", URL, ...L], wrong))).toBe(sentence);
  });
});

describe("a wrong command line is refused in one sentence that names the flag and the mend", () => {
  const DURATION = "is not a duration: write a whole number and a unit: 500ms, 10s, 2m or 1h.";
  const SIZE = "is not a size: write a whole number of bytes, or of KiB, MiB or GiB: 65536, 64KiB, 16MiB.";
  const PORT = "is not a port: write a whole number from 0 to 65535.";
  const MANY = "9".repeat(100);

  it.each<[string[], string]>([
    // commands and flags that are not there
    [["serve"], "culvert serve is not a command: did you mean server?"],
    [["tunnel"], "culvert tunnel is not a command: write one of server, client, token, key, cert, policy."],
    [["-x"], "there is no flag -x: see culvert --help."],
    [["server", "--tokn-file", "f"], "there is no flag --tokn-file: did you mean --token-file?"],
    [["server", "--log"], "there is no flag --log: did you mean --log-level?"],
    [["server", "--grac"], "there is no flag --grac: did you mean --grace?"],
    [["server", "--retry-max", "3"], "there is no flag --retry-max: see culvert server --help."],
    [["server", "--lo"], "there is no flag --lo: see culvert server --help."],
    [["server", "-L", "1:a:1"], "there is no flag -L: see culvert server --help."],
    [["client", URL, "--locla", "1:a:1"], "there is no flag --locla: did you mean --local?"],
    [["client", URL, "-P", "1"], "there is no flag -P: see culvert client --help."],
    [["server", "--no-json"], "there is no flag --no-json: see culvert server --help."],
    [
      ["server", `--token=${TOKEN}`],
      "there is no flag --token, because other users of a machine can read its command lines: use --token-file <file>, or set CULVERT_TOKEN.",
    ],
    [
      ["client", URL, ...L, "--token", TOKEN],
      "there is no flag --token, because other users of a machine can read its command lines: use --token-file <file>, or set CULVERT_TOKEN.",
    ],
    [["server", "--tokenn=secret"], "there is no flag --tokenn: see culvert server --help."],
    [["server", "extra"], "culvert server takes no arguments, only flags: see culvert server --help."],

    // values that are not there
    [["server", "--port"], "--port needs a value: write it behind the flag, as in --port <n>."],
    [["client", URL, "-L"], "-L needs a value: write it behind the flag, as in -L <spec>."],
    [
      ["server", "--token-file", "--grace", "1s"],
      "--token-file needs a value, but what follows is the flag --grace.",
    ],
    [["client", URL, "-L", "-R", "1:a:1"], "-L needs a value, but what follows is the flag -R."],

    // ports (G3)
    [["server", "--port", "65536"], `--port 65536 ${PORT}`],
    [["server", "--port", "80a"], `--port 80a ${PORT}`],
    [["server", "--port", "-1"], `--port -1 ${PORT}`],
    [["server", "--port", ""], `--port "" ${PORT}`],
    [["server", "--port", "1-2"], `--port 1-2 ${PORT}`],
    [["server", "--port", "0x50"], `--port 0x50 ${PORT}`],
    [["server", "--port", " 80"], `--port " 80" ${PORT}`],
    [["server", "--port", "+80"], `--port +80 ${PORT}`],

    // durations (G7)
    [["server", "--grace", "10"], `--grace 10 ${DURATION}`],
    [["server", "--grace", "10x"], `--grace 10x ${DURATION}`],
    [["server", "--grace", "-1s"], `--grace -1s ${DURATION}`],
    [["server", "--grace", "1e9h"], `--grace 1e9h ${DURATION}`],
    [["server", "--grace", ""], `--grace "" ${DURATION}`],
    [["server", "--grace", "169h"], "--grace 169h is out of range: it may be from 0s to 168h."],
    [["server", "--ping-interval", "0"], "--ping-interval 0 is out of range: it may be from 1ms to 24h."],
    [["server", "--drain", "2h"], "--drain 2h is out of range: it may be from 0s to 1h."],
    [["client", URL, ...L, "--retry-for", "1y"], `--retry-for 1y ${DURATION}`],

    // sizes (G8)
    [["server", "--replay-limit", "1G"], `--replay-limit 1G ${SIZE}`],
    [["server", "--replay-limit", "-1"], `--replay-limit -1 ${SIZE}`],
    [["server", "--replay-limit", "1.5KB"], `--replay-limit 1.5KB ${SIZE}`],
    [
      ["server", "--replay-limit", "1KiB"],
      "--replay-limit 1KiB is out of range: it may be from 64KiB to 1024GiB.",
    ],
    [["server", "--initial-window", "0"], "--initial-window 0 is out of range: it may be from 1 to 16MiB."],

    // numbers
    [["server", "--max-sessions", "0"], "--max-sessions 0 is out of range: it may be from 1 to 1000000."],
    [
      ["server", "--max-sessions", "many"],
      "--max-sessions many is not a whole number: write one from 1 to 1000000.",
    ],
    [
      ["server", "--max-sessions", "1.5"],
      "--max-sessions 1.5 is not a whole number: write one from 1 to 1000000.",
    ],
    [
      ["server", "--max-sessions", MANY],
      `--max-sessions ${MANY.slice(0, 80)}… is not a whole number: write one from 1 to 1000000.`,
    ],
    [
      ["client", URL, ...L, "--retry-max", "0"],
      "--retry-max 0 is out of range: it may be from 1 to 1000000.",
    ],
    [
      ["client", URL, ...L, "--retry-factor", "0.5"],
      "--retry-factor 0.5 is out of range: it may be from 1 to 100.",
    ],
    [
      ["client", URL, ...L, "--retry-factor", "two"],
      "--retry-factor two is not a number: write one such as 2 or 1.5.",
    ],

    // words
    [["server", "--log-level", "infos"], "--log-level infos is not known: did you mean info?"],
    [
      ["server", "--log-level", "loud"],
      "--log-level loud is not known: write one of trace, debug, info, warn, error.",
    ],
    [["server", "--log-format", "JSON"], "--log-format JSON is not known: did you mean json?"],

    // addresses
    [
      ["server", "--host", "a b"],
      '--host "a b" is not an address: write one such as 127.0.0.1, ::1 or 0.0.0.0.',
    ],
    [["server", "--host", ""], '--host "" is not an address: write one such as 127.0.0.1, ::1 or 0.0.0.0.'],
    [
      ["server", "--host", "http://a/"],
      "--host http://a/ is not an address: write one such as 127.0.0.1, ::1 or 0.0.0.0.",
    ],
    [
      ["server", "--path", "tunnel"],
      "--path tunnel is not a path: begin it with / and leave out ?, # and spaces.",
    ],
    [
      ["server", "--path", "/a?b"],
      "--path /a?b is not a path: begin it with / and leave out ?, # and spaces.",
    ],
    [
      ["server", "--origin", "https://a.example/"],
      "--origin https://a.example/ is not an origin: write one such as https://example.org, without a path.",
    ],
    [
      ["client", "host2:9000", ...L],
      "the server URL host2:9000 has no scheme: did you mean ws://host2:9000?",
    ],
    [
      ["client", "ftp://host2", ...L],
      "the server URL ftp://host2 must begin with ws://, wss://, http:// or https://, for example ws://host2:9000.",
    ],
    [
      ["client", URL, "ws://u:p@host3", ...L],
      "the server URL ws://…@host3 must not contain a user name or password: use --token-file.",
    ],
    [
      ["client", URL, "-L", "8080"],
      "-L 8080: the listen port or the target is missing; write -L [bind:]port:host:port, for example -L 8080:localhost:80.",
    ],
    [
      ["client", URL, "-R", "8080:db:99999"],
      '-R 8080:db:99999: the target "db:99999": the port must be a decimal number from 0 to 65535.',
    ],

    // combinations
    [
      ["client"],
      "the URL of the server is missing: write it behind the command, as in culvert client ws://host2:9000 -L 8080:localhost:80.",
    ],
    [
      ["client", ...L],
      "the URL of the server is missing: write it behind the command, as in culvert client ws://host2:9000 -L 8080:localhost:80.",
    ],
    [
      ["client", URL],
      "a client needs at least one tunnel: add -L [bind:]port:host:port or -R [bind:]port:host:port.",
    ],
    [
      ["client", URL, ...L, "-L", "*:8080:other:1"],
      "-L 8080:db:5432 and -L *:8080:other:1 would listen in the same place on this machine: give one of them another port.",
    ],
    [
      ["server", "--ping-interval", "30s"],
      "--silence-timeout must be longer than --ping-interval, at least one and a half times as long: otherwise a link without traffic is dead now and then.",
    ],
    [
      ["server", "--initial-window", "2MiB", "--max-window", "1MiB"],
      "--initial-window is larger than --max-window: lower the one or raise the other.",
    ],
    [
      ["server", "--log-file-size", "1MiB"],
      "--log-file-size means nothing without --log-file: add it, or leave both out.",
    ],
    [["server", "--token-file", "/nowhere/token"], "--token-file /nowhere/token: there is no such file."],
    [
      ["client", URL, ...L, "--name", ""],
      "--name must have 1 to 255 characters, and no control characters among them.",
    ],
    ...["\u0007", "\u0085", "\u2028", "\u200e", "a\u202eb", "\u2066"].map((name): [string[], string] => [
      ["client", URL, ...L, "--name", name],
      "--name must have 1 to 255 characters, and no control characters among them.",
    ]),
    [
      ["client", URL, ...L, "--header", "X"],
      "--header is not a header: write 'Name: value', with a colon after the name.",
    ],
  ])("%j", (argv, sentence) => {
    expect(sentenceOf(() => parseCommandLine(argv, {}))).toBe(sentence);
  });

  it("more memory than there is", () => {
    expect(sentenceOf(() => parseCommandLine(["server", "--receive-budget", "1024GiB"], {}))).toMatch(
      /^--receive-budget 1024GiB is more than the memory of this machine \(\d+(MiB|GiB)\): lower it\.$/,
    );
  });

  it("two tokens", () => {
    const argv = ["client", URL, ...L, "--header", "authorization: Bearer x"];
    expect(sentenceOf(() => parseCommandLine(argv, { CULVERT_TOKEN: TOKEN }))).toBe(
      "--header sets Authorization, which CULVERT_TOKEN sets too: remove one of them.",
    );
  });
});
