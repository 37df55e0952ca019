import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  checkTarget,
  type Endpoint,
  formatEndpoint,
  listenEndpoint,
  parseEndpoint,
} from "../src/endpoint.ts";
import { CulvertError } from "../src/errors.ts";

function errorOf(run: () => unknown): CulvertError {
  try {
    run();
  } catch (error) {
    if (error instanceof CulvertError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

const label63 = "a".repeat(63);

describe("what is read, and its canonical form", () => {
  test.each([
    ["tcp://127.0.0.1:80", "tcp://127.0.0.1:80"],
    ["127.0.0.1:0", "tcp://127.0.0.1:0"],
    ["localhost:65535", "tcp://localhost:65535"],
    ["TCP://Example.COM:80", "tcp://example.com:80"],
    ["example.com.:80", "tcp://example.com:80"],
    ["127.0.0.1.:80", "tcp://127.0.0.1:80"],
    ["my_service-1:6379", "tcp://my_service-1:6379"],
    ["xn--bcher-kva.example:80", "tcp://xn--bcher-kva.example:80"],
    ["r3---sn.example:80", "tcp://r3---sn.example:80"],
    ["4chan.org:80", "tcp://4chan.org:80"],
    ["0.0.0.0:1", "tcp://0.0.0.0:1"],
    ["x:1", "tcp://x:1"],
    [`${label63}:80`, `tcp://${label63}:80`],
    [
      `${label63}.${label63}.${label63}.${label63}:80`,
      `tcp://${label63}.${label63}.${label63}.${label63}:80`,
    ],
    ["[::1]:80", "tcp://[::1]:80"],
    ["[::]:0", "tcp://[::]:0"],
    ["tcp://[2001:DB8:0:0:0:0:0:1]:80", "tcp://[2001:db8::1]:80"],
    ["[1:0:0:2:0:0:0:3]:80", "tcp://[1:0:0:2::3]:80"],
    ["[1:0:2:3:4:5:6:7]:80", "tcp://[1:0:2:3:4:5:6:7]:80"],
    ["[0:0:1:0:0:1:0:0]:80", "tcp://[::1:0:0:1:0:0]:80"],
    ["[1:2:3:4:5:6:7::]:80", "tcp://[1:2:3:4:5:6:7:0]:80"],
    ["[64:ff9b::192.0.2.1]:80", "tcp://[64:ff9b::c000:201]:80"],
    ["[::ffff:127.0.0.1]:80", "tcp://127.0.0.1:80"],
    ["[::ffff:7f00:1]:80", "tcp://127.0.0.1:80"],
    ["[::127.0.0.1]:80", "tcp://[::7f00:1]:80"],
    ["unix:///run/culvert.sock", "unix:///run/culvert.sock"],
    ["UNIX:///run/ä b.sock", "unix:///run/ä b.sock"],
    [`unix:///${"p".repeat(106)}`, `unix:///${"p".repeat(106)}`],
  ])("%s is %s", (text, canonical) => {
    expect(formatEndpoint(parseEndpoint(text))).toBe(canonical);
  });

  test("the fields, not only the text", () => {
    expect(parseEndpoint("tcp://[::1]:80")).toEqual({ scheme: "tcp", host: "::1", port: 80 });
    expect(parseEndpoint("unix:///p")).toEqual({ scheme: "unix", path: "/p" });
  });

  test("whatever is read is read again as the same", () => {
    const word = fc.stringMatching(/^[a-z0-9_]([a-z0-9_-]{0,10}[a-z0-9_])?$/);
    const ipv6 = fc.ipV6().map((host) => `[${host}]`);
    const host = fc.oneof(fc.array(word, { minLength: 1, maxLength: 5 }), fc.constant(["a", "b"]));
    const name = host.map((labels) => `${labels.join(".")}.x`);
    const text = fc
      .tuple(fc.oneof(name, fc.ipV4(), ipv6), fc.integer({ min: 0, max: 65_535 }))
      .map(([address, port]) => `${address}:${port}`);
    fc.assert(
      fc.property(text, (given) => {
        const endpoint = parseEndpoint(given);
        expect(parseEndpoint(formatEndpoint(endpoint))).toEqual(endpoint);
      }),
    );
  });

  test("any text is an endpoint or a bad_address", () => {
    const piece = fc.constantFrom(
      ..."tcp://",
      "unix:///",
      ":",
      "[",
      "]",
      ".",
      "-",
      "%",
      "0",
      "1.2.3.4",
      "::",
      "a",
    );
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.array(piece, { maxLength: 12 }).map((all) => all.join("")),
    );
    fc.assert(
      fc.property(text, (given) => {
        let endpoint: Endpoint;
        try {
          endpoint = parseEndpoint(given);
        } catch (error) {
          expect((error as CulvertError).code).toBe("bad_address");
          return;
        }
        expect(parseEndpoint(formatEndpoint(endpoint))).toEqual(endpoint);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("what is refused, and how it is said", () => {
  test.each([
    // nothing, or too much
    ["", "the port is missing"],
    [":", "the port is missing"],
    [":80", "the host is missing"],
    ["tcp://", "the port is missing"],
    ["host", "the port is missing"],
    ["host:", "the port is missing"],
    ["[::1]", "the port is missing"],
    [`${"a".repeat(256)}:80`, "255"],
    [`${label63}a:80`, "63"],
    // characters that mean something to somebody
    ["a\0b:80", "letters, digits"],
    ["a\rb:80", "letters, digits"],
    ["a\nb:80", "letters, digits"],
    ["a b:80", "letters, digits"],
    [" a:80", "letters, digits"],
    ["a/b:80", "letters, digits"],
    ["user@host:80", "letters, digits"],
    ["a%00:80", "letters, digits"],
    ["a\x7f:80", "letters, digits"],
    ["a\u0085:80", "xn--"],
    ["a\u202eb:80", "xn--"],
    ["*:80", "letters, digits"],
    ["-oProxyCommand=x:80", "letters, digits"],
    ["-o:80", "hyphen"],
    ["a.-b:80", "hyphen"],
    ["a-:80", "hyphen"],
    // names that are none
    [".:80", "empty"],
    ["..:80", "empty"],
    ["a..b:80", "empty"],
    [".a:80", "empty"],
    ["a..:80", "empty"],
    ["bücher.example:80", "xn--"],
    ["😀:80", "xn--"],
    ["①②⑦.0.0.1:80", "xn--"],
    ["127。0。0。1:80", "xn--"],
    ["\ud800:80", "xn--"],
    // other faces of IPv4
    ["127.1:80", "four decimal numbers"],
    ["2130706433:80", "four decimal numbers"],
    ["0x7f.1:80", "four decimal numbers"],
    ["0x7f000001:80", "four decimal numbers"],
    ["a.0x:80", "four decimal numbers"],
    ["0177.0.0.1:80", "four decimal numbers"],
    ["127.0.0.01:80", "four decimal numbers"],
    ["256.0.0.1:80", "four decimal numbers"],
    ["1.2.3.4.5:80", "four decimal numbers"],
    ["0:80", "four decimal numbers"],
    // IPv6
    ["::1:80", "brackets"],
    ["2001:db8::1", "brackets"],
    ["[]:80", "not an IPv6 address"],
    ["[127.0.0.1]:80", "not an IPv6 address"],
    ["[1::2::3]:80", "not an IPv6 address"],
    ["[1:2:3:4:5:6:7:8:9]:80", "not an IPv6 address"],
    ["[1:2:3:4:5:6:7]:80", "not an IPv6 address"],
    ["[1:2:3:4:5:6:7:8::]:80", "not an IPv6 address"],
    ["[:1]:80", "not an IPv6 address"],
    ["[1:]:80", "not an IPv6 address"],
    ["[:::]:80", "not an IPv6 address"],
    ["[12345::]:80", "not an IPv6 address"],
    ["[g::]:80", "not an IPv6 address"],
    ["[::1.2.3]:80", "not an IPv6 address"],
    ["[::1.2.3.4:5]:80", "not an IPv6 address"],
    ["[fe80::1%lo]:80", "zone"],
    ["[::1%25lo]:80", "zone"],
    ["[::1]80", "decimal number"],
    ["[::1]x:80", "decimal number"],
    ["[::1:80", "brackets"],
    // ports
    ["host:65536", "decimal number"],
    ["host:-1", "decimal number"],
    ["host:1.5", "decimal number"],
    ["host:+80", "decimal number"],
    ["host:080", "decimal number"],
    ["host:0x50", "decimal number"],
    ["host:80 ", "decimal number"],
    ["host:80/", "decimal number"],
    ["host:http", "decimal number"],
    ["host:999999999999999999999", "decimal number"],
    // schemes
    ["http://host:80", "scheme"],
    ["udp://host:80", "scheme"],
    ["tls+tcp://host:80", "scheme"],
    // Unix paths
    ["unix://", "absolute"],
    ["unix://run/x.sock", "absolute"],
    ["unix:///", "name a file"],
    ["unix:///run/", "name a file"],
    ["unix:////run", "name a file"],
    ["unix:///run/../etc", "name a file"],
    ["unix:///./x", "name a file"],
    ["unix:///a\0b", "NUL"],
    ["unix:///a\nb", "control character"],
    ["unix:///\ud800", "Unicode"],
    [`unix:///${"p".repeat(107)}`, "107"],
    [`unix:///${"ä".repeat(54)}`, "107"],
  ])("%j: %s", (text, why) => {
    const error = errorOf(() => parseEndpoint(text, "--listen"));
    expect(error.code).toBe("bad_address");
    expect(error.message).toContain("--listen");
    expect(error.message).toContain(why);
    expect(error.message.length).toBeLessThan(256);
    expect(error.message).not.toMatch(/\p{C}/u);
  });

  test("64 KiB of anything are refused, and the error stays short", () => {
    for (const unit of ["x", "1", ".", ":", "[", "\0", "x."]) {
      const error = errorOf(() => parseEndpoint(`${unit.repeat(65_536 / unit.length)}:80`));
      expect(error.code).toBe("bad_address");
      expect(error.message.length).toBeLessThan(256);
    }
  });

  test.each([undefined, null, 5678, {}])("%j, from code without types", (given) => {
    expect(errorOf(() => parseEndpoint(given as unknown as string)).code).toBe("bad_address");
    expect(errorOf(() => listenEndpoint(given as unknown as string)).code).toBe("bad_address");
  });
});

describe("where a listener is meant", () => {
  test.each([
    ["5678", "tcp://127.0.0.1:5678"],
    [":5678", "tcp://127.0.0.1:5678"],
    ["0", "tcp://127.0.0.1:0"],
    ["*:5678", "tcp://0.0.0.0:5678"],
    ["0.0.0.0:5678", "tcp://0.0.0.0:5678"],
    ["[::]:5678", "tcp://[::]:5678"],
    ["unix:///run/x.sock", "unix:///run/x.sock"],
  ])("%s is %s", (text, canonical) => {
    expect(formatEndpoint(listenEndpoint(text))).toBe(canonical);
  });

  test.each(["", ":", "65536", ":-1", "*5678", "*", "*:", "**:80", "::80", "05678", " 5678", "tcp://5678"])(
    "%j is refused",
    (text) => {
      const error = errorOf(() => listenEndpoint(text, "listen of tunnel web"));
      expect(error.code).toBe("bad_address");
      expect(error.message).toContain("listen of tunnel web");
    },
  );
});

test("a target needs a port", () => {
  checkTarget(parseEndpoint("host:1"));
  checkTarget(parseEndpoint("unix:///p"));
  const error = errorOf(() => checkTarget(parseEndpoint("host:0"), "connect"));
  expect(error.code).toBe("bad_address");
  expect(error.message).toContain("connect");
});
