import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { describe, expect, test } from "vitest";
import { Authority, parsed } from "../../../test/support/authority.ts";
import { ServerNames } from "../src/server-names.ts";

const REQUEST = { url: "/t?q=1", headers: { host: "evil.example" } } as IncomingMessage;

function pathsOf(
  host: string,
  {
    names = [],
    socket = {},
    request = REQUEST,
  }: { names?: string[]; socket?: object; request?: IncomingMessage } = {},
): readonly string[] {
  return new ServerNames(names).pathsOf(host, request, socket as unknown as Duplex);
}

describe("a name of this server", () => {
  test("is one of publicNames, with the path of the request or the one that is written there", () => {
    const names = ["Tunnel.example.org", "other.example.org:8443/tunnel", "tunnel.example.org/x"];
    expect(pathsOf("tunnel.example.org", { names })).toEqual(["/t", "/x"]);
    expect(pathsOf("other.example.org:8443", { names })).toEqual(["/tunnel"]);
    expect(pathsOf("other.example.org", { names })).toEqual([]);
    expect(pathsOf("tunnel.example.org.evil.example", { names })).toEqual([]);
  });

  test("has the default port of its scheme or none", () => {
    expect(pathsOf("a.example", { names: ["a.example:443"] })).toEqual(["/t"]);
    expect(pathsOf("a.example:443", { names: ["a.example"] })).toEqual(["/t"]);
    expect(pathsOf("a.example:8443", { names: ["a.example"] })).toEqual([]);
  });

  test("is the address and port that the connection came to", () => {
    const socket = { localAddress: "192.0.2.1", localPort: 9000 };
    expect(pathsOf("192.0.2.1:9000", { socket })).toEqual(["/t"]);
    expect(pathsOf("192.0.2.1:9001", { socket })).toEqual([]);
    expect(pathsOf("192.0.2.2:9000", { socket })).toEqual([]);
    expect(pathsOf("192.0.2.1", { socket: { ...socket, localPort: 80 } })).toEqual(["/t"]);
    expect(pathsOf("192.0.2.1", { socket: { ...socket, localPort: 443 } })).toEqual([]);
    expect(pathsOf("192.0.2.1", { socket: { ...socket, localPort: 443, encrypted: true } })).toEqual(["/t"]);
    const mapped = { localAddress: "::ffff:192.0.2.1", localPort: 9000 };
    expect(pathsOf("192.0.2.1:9000", { socket: mapped })).toEqual(["/t"]);
    const six = { localAddress: "2001:db8::1", localPort: 9000 };
    expect(pathsOf("[2001:db8::1]:9000", { socket: six })).toEqual(["/t"]);
  });

  test("is localhost for what came over loopback, and nothing else is", () => {
    const socket = { localAddress: "127.0.0.1", localPort: 9000 };
    expect(pathsOf("localhost:9000", { socket })).toEqual(["/t"]);
    expect(pathsOf("localhost:9000", { socket: { ...socket, localAddress: "192.0.2.1" } })).toEqual([]);
  });

  test("is one that the certificate of the connection is for, whatever its port and through whatever proxy", async () => {
    const names = [
      ["dns", "tunnel.example"],
      ["dns", "*.wild.example"],
      ["ip", "192.0.2.7"],
    ] as const;
    const certificate = parsed(
      await (await Authority.create()).issue({ commonName: "common.example", names }),
    );
    const socket = { encrypted: true, getX509Certificate: () => certificate };
    for (const host of ["tunnel.example", "tunnel.example:8443", "a.wild.example", "192.0.2.7:9000"]) {
      expect(pathsOf(host, { socket })).toEqual(["/t"]);
    }
    const others = ["evil.example", "x.tunnel.example", "a.b.wild.example", "wild.example", "192.0.2.8"];
    for (const host of [...others, "common.example"]) expect(pathsOf(host, { socket })).toEqual([]);
    expect(pathsOf("tunnel.example", { socket: { getX509Certificate: () => undefined } })).toEqual([]);
  });

  test("T4: is not the address behind a proxy, nor what the request's Host says", () => {
    const socket = { localAddress: "127.0.0.1", localPort: 9000 };
    const proxied = { ...REQUEST, headers: { "x-forwarded-for": "192.0.2.9" } } as unknown as IncomingMessage;
    expect(pathsOf("127.0.0.1:9000", { socket, request: proxied })).toEqual([]);
    expect(pathsOf("evil.example", { socket })).toEqual([]);
  });
});

test.each(["", ":", "[", "[]", "[::1", "a:b:c", ":9000", "[::1]:99999"])(
  "%j is no name of any server, and breaks nothing",
  (host) => {
    expect(pathsOf(host, { socket: { localAddress: "192.0.2.1", localPort: 9000 } })).toEqual([]);
  },
);
