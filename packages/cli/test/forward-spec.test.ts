import { formatEndpoint } from "@culvert/protocol";
import { describe, expect, it } from "vitest";
import { checkDistinctListeners, type ForwardFlag, parseForwardSpec } from "../src/forward-spec.ts";
import { UsageError } from "../src/usage-error.ts";

describe("parseForwardSpec", () => {
  it.each([
    // [bind:]port:host:port
    ["8080:db:5432", "tcp://127.0.0.1:8080", "tcp://db:5432"],
    ["0:db:5432", "tcp://127.0.0.1:0", "tcp://db:5432"],
    ["127.0.0.2:8080:db:5432", "tcp://127.0.0.2:8080", "tcp://db:5432"],
    ["localhost:8080:localhost:80", "tcp://localhost:8080", "tcp://localhost:80"],
    ["0.0.0.0:8080:10.0.0.7:80", "tcp://0.0.0.0:8080", "tcp://10.0.0.7:80"],
    ["*:8080:db:5432", "tcp://0.0.0.0:8080", "tcp://db:5432"],
    ["65535:DB.Example.:65535", "tcp://127.0.0.1:65535", "tcp://db.example:65535"],
    // IPv6 in brackets, on either side
    ["[::1]:8080:db:80", "tcp://[::1]:8080", "tcp://db:80"],
    ["[::]:8080:db:80", "tcp://[::]:8080", "tcp://db:80"],
    ["8080:[2001:db8::1]:80", "tcp://127.0.0.1:8080", "tcp://[2001:db8::1]:80"],
    ["[::1]:8080:[2001:DB8:0::1]:80", "tcp://[::1]:8080", "tcp://[2001:db8::1]:80"],
    ["*:8080:[::1]:80", "tcp://0.0.0.0:8080", "tcp://[::1]:80"],
    // unix sockets, on either side; the path of a target may have colons
    ["8080:/run/app.sock", "tcp://127.0.0.1:8080", "unix:///run/app.sock"],
    ["*:8080:/run/app.sock", "tcp://0.0.0.0:8080", "unix:///run/app.sock"],
    ["[::1]:8080:/run/a:b.sock", "tcp://[::1]:8080", "unix:///run/a:b.sock"],
    ["/run/in.sock:db:5432", "unix:///run/in.sock", "tcp://db:5432"],
    ["/run/in.sock:[::1]:5432", "unix:///run/in.sock", "tcp://[::1]:5432"],
    ["/run/in.sock:/run/out.sock", "unix:///run/in.sock", "unix:///run/out.sock"],
  ])("reads %j", (text, listen, target) => {
    for (const flag of ["-L", "-R"] as const) {
      const spec = parseForwardSpec(text, flag);
      expect(spec).toMatchObject({ flag, text });
      expect([formatEndpoint(spec.listen), formatEndpoint(spec.target)]).toEqual([listen, target]);
    }
  });

  const MISSING =
    "the listen port or the target is missing; write -L [bind:]port:host:port, for example -L 8080:localhost:80.";
  const COLONS =
    "there are too many colons; write -L [bind:]port:host:port with IPv6 addresses in brackets, as in [::1]:8080:localhost:80.";
  const PORT = "the port must be a decimal number from 0 to 65535.";

  it.each([
    ["", `-L "": ${MISSING}`],
    ["8080", `-L 8080: ${MISSING}`],
    ["db:5432", `-L db:5432: ${MISSING}`],
    ["/run/in.sock", `-L /run/in.sock: ${MISSING}`],
    ["/run/in.sock:db", "-L /run/in.sock:db: the target is missing; write -L /path.sock:host:port."],
    ["a:b:c:d:e", `-L a:b:c:d:e: ${COLONS}`],
    ["::1:8080:db:80", `-L ::1:8080:db:80: ${COLONS}`],
    ["8080:2001:db8::1:80", `-L 8080:2001:db8::1:80: ${COLONS}`],
    ["80a:db:5432", `-L 80a:db:5432: the listen address "80a": ${PORT}`],
    ["65536:db:5432", `-L 65536:db:5432: the listen address "65536": ${PORT}`],
    ["-1:db:5432", `-L -1:db:5432: the listen address "-1": ${PORT}`],
    ["080:db:5432", `-L 080:db:5432: the listen address "080": ${PORT}`],
    [":db:5432", '-L :db:5432: the listen address "": the port is missing; write host:port.'],
    ["8080:db:", '-L 8080:db:: the target "db:": the port is missing; write host:port.'],
    ["8080:db:99999", `-L 8080:db:99999: the target "db:99999": ${PORT}`],
    ["8080:db:http", `-L 8080:db:http: the target "db:http": ${PORT}`],
    ["8080:db:0", '-L 8080:db:0: the target "tcp://db:0": a target needs a port from 1 to 65535.'],
    ["8080::80", '-L 8080::80: the target ":80": the host is missing; write host:port.'],
    [
      ":8080:db:80",
      "-L :8080:db:80: the address before the first colon is empty; write * for every address, or leave the colon out for 127.0.0.1.",
    ],
    [
      "8080:*:80",
      '-L 8080:*:80: the target "*:80": a host name has only letters, digits, hyphens, underscores and dots.',
    ],
    [
      "8080:-oProxyCommand:80",
      '-L 8080:-oProxyCommand:80: the target "-oProxyCommand:80": no part of a host name begins or ends with a hyphen.',
    ],
    [
      "8080:127.1:80",
      '-L 8080:127.1:80: the target "127.1:80": an IPv4 address is four decimal numbers up to 255, as in 127.0.0.1.',
    ],
    [
      "[::g]:8080:db:80",
      '-L [::g]:8080:db:80: the listen address "[::g]:8080": what is in the brackets is not an IPv6 address.',
    ],
    [
      "[fe80::1%eth0]:8080:db:80",
      '-L [fe80::1%eth0]:8080:db:80: the listen address "[fe80::1%eth0]:8080": an IPv6 zone id (after %) names an interface of one machine only; leave it out.',
    ],
    [
      "8080:/run/../etc/app.sock",
      '-L 8080:/run/../etc/app.sock: the target "/run/../etc/app.sock": the path must name a file, without empty parts, . or ...',
    ],
    [
      "/run/in.sock:8080:db:80",
      "-L /run/in.sock:8080:db:80: a socket path has no port; write -L /path.sock:host:port.",
    ],
    [
      "a:b:c:/run/app.sock",
      "-L a:b:c:/run/app.sock: there is one part too many; write -L [bind:]port:host:port.",
    ],
    [
      "5679:localhost:6789:1",
      "-L 5679:localhost:6789:1: there is one part too many; write -L [bind:]port:host:port.",
    ],
    ["*:80a:db:5432", `-L *:80a:db:5432: the listen address "*:80a": ${PORT}`],
  ])("refuses %j in one sentence", (text, sentence) => {
    expect(faultOf(text, "-L")).toBe(sentence);
  });

  it("shows what was typed without letting it steer a terminal", () => {
    expect(faultOf("8080:d\u001b[2Jb:80", "-R")).toBe(
      '-R "8080:d\\u001b[2Jb:80": the target "d\\u001b[2Jb:80": a host name has only letters, digits, hyphens, underscores and dots.',
    );
    expect(faultOf(`8080:${"a".repeat(300)}:80`, "-R")).toContain("aaa…: the target");
  });

  it("never fails in any other way", () => {
    for (const text of [
      ":",
      "::",
      ":::",
      "::::",
      "[",
      "[]",
      "[]:",
      "[:::::",
      "]",
      "/",
      "/:",
      "/:/",
      "a:[",
      "1:[::1]",
      "1:[::1]x:2",
    ]) {
      expect(faultOf(text, "-R")).toMatch(/^-R .*\.$/);
    }
  });
});

describe("checkDistinctListeners", () => {
  const check = (...specs: [flag: ForwardFlag, text: string][]): string | undefined =>
    sentenceOf(() => checkDistinctListeners(specs.map(([flag, text]) => parseForwardSpec(text, flag))));

  it("lets different places and different sides be", () => {
    expect(check(["-L", "1:a:1"], ["-L", "2:a:1"], ["-R", "1:a:1"], ["-R", "2:a:1"])).toBeUndefined();
    expect(check(["-L", "127.0.0.2:1:a:1"], ["-L", "127.0.0.1:1:a:1"])).toBeUndefined();
    expect(check(["-L", "0:a:1"], ["-L", "0:a:1"])).toBeUndefined();
    expect(check(["-L", "/a.sock:a:1"], ["-L", "/b.sock:a:1"], ["-L", "1:a:1"])).toBeUndefined();
  });

  it.each([
    [
      ["-L", "1:a:1"],
      ["-L", "1:b:2"],
      "-L 1:a:1 and -L 1:b:2 would listen in the same place on this machine",
    ],
    [
      ["-L", "1:a:1"],
      ["-L", "*:1:b:2"],
      "-L 1:a:1 and -L *:1:b:2 would listen in the same place on this machine",
    ],
    [
      ["-L", "[::]:1:a:1"],
      ["-L", "[::1]:1:b:2"],
      "-L [::]:1:a:1 and -L [::1]:1:b:2 would listen in the same place on this machine",
    ],
    [["-R", "1:a:1"], ["-R", "1:a:1"], "-R 1:a:1 and -R 1:a:1 would listen in the same place on the server"],
    [
      ["-L", "/a.sock:a:1"],
      ["-L", "/a.sock:b:1"],
      "-L /a.sock:a:1 and -L /a.sock:b:1 would listen in the same place on this machine",
    ],
  ] as [[ForwardFlag, string], [ForwardFlag, string], string][])(
    "refuses %j with %j",
    (one, other, sentence) => {
      expect(check(one, other)).toBe(`${sentence}: give one of them another port.`);
    },
  );
});

function faultOf(text: string, flag: ForwardFlag): string | undefined {
  return sentenceOf(() => parseForwardSpec(text, flag));
}

function sentenceOf(act: () => unknown): string | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return error.message;
  }
}
