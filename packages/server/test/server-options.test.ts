import { CulvertError } from "@culvert/protocol";
import { describe, expect, test } from "vitest";
import { resolveServerOptions, SERVER_DEFAULTS, type ServerOptions } from "../src/index.ts";
import { usersOf } from "./support/users.ts";

const TOKEN = "0123456789abcdef";

function faultOf(options: unknown): string {
  try {
    resolveServerOptions(options as ServerOptions);
  } catch (error) {
    if (error instanceof CulvertError && error.code === "invalid_option") return error.message;
    throw error;
  }
  return "no fault";
}

describe("resolveServerOptions", () => {
  test("without options: the defaults, loopback, frozen", () => {
    const options = resolveServerOptions();
    expect(options).toMatchObject({ ...SERVER_DEFAULTS, host: "127.0.0.1", port: 9000, path: "/" });
    expect(options.session.graceMs).toBe(120_000);
    expect(Object.isFrozen(options)).toBe(true);
    expect(Object.isFrozen(options.session)).toBe(true);
    expect(Object.isFrozen(options.origins)).toBe(true);
  });

  test("an option that is given as undefined is not given", () => {
    expect(resolveServerOptions({ token: undefined, lookup: undefined }).token).toBeUndefined();
  });

  test.each([
    [{ prot: 1 }, "there is no option prot; there are: host, port, path, token,"],
    [{ session: { graceMS: 1 } }, "there is no option session.graceMS"],
    [{ session: { graceMs: -1 } }, "session.graceMs must be an integer from 0 to"],
    [{ port: 65_536 }, "port must be an integer from 0 to 65535, not 65536"],
    [{ port: "80" }, "port must be an integer from 0 to 65535, not 80"],
    [{ port: 1.5 }, "port must be"],
    [{ host: "" }, "host must be a host name or an IP address"],
    [{ path: "tunnel" }, "path must be a path that starts with /"],
    [{ path: "/a?b" }, "path must be"],
    [{ path: "/a b" }, "path must be"],
    [{ dialTimeoutMs: 0 }, "dialTimeoutMs must be an integer from 1"],
    [{ handshakeTimeoutMs: Number.NaN }, "handshakeTimeoutMs must be"],
    [{ maxSessions: 0 }, "maxSessions must be"],
    [{ maxUnauthenticated: 0 }, "maxUnauthenticated must be"],
    [{ drainMs: 2 ** 31 }, "drainMs must be an integer from 0 to 2147483647"],
    [{ origins: ["example.org"] }, "origins must be a list of origins"],
    [{ lookup: "dns" }, "lookup must be a function"],
    [{ logger: { info: () => undefined } }, "logger must have pino's methods"],
    [{ agent: "a\nb" }, "agent must be"],
    [{ users: { alice: {} } }, "users must be what parseUsers returns"],
    [{ users: null }, "users must be what parseUsers returns"],
    [{ authenticate: true }, "authenticate must be a function"],
    [{ noAuth: "yes" }, "noAuth must be true or false"],
    [{ noAuth: true, token: TOKEN }, "noAuth and token exclude each other"],
    [{ noAuth: true, authenticate: () => undefined }, "noAuth and authenticate exclude each other"],
    [{ publicNames: ["wss://tunnel.example.org"] }, "publicNames must be a list of names"],
    [{ publicNames: ["tunnel.example.org:65536"] }, "publicNames must be a list of names"],
    [{ publicNames: ["[1::2::3]"] }, "publicNames must be a list of names"],
    [{ publicNames: ["tunnel.example.org:0"] }, "publicNames must be a list of names"],
    [{ publicNames: ["tunnel.example.org/a?b"] }, "publicNames must be a list of names"],
    [{ publicNames: [""] }, "publicNames must be a list of names"],
  ])("%j: %s", (options, sentence) => {
    expect(faultOf(options)).toContain(sentence);
  });

  test.each([
    "",
    "short",
    "0123456789abcde",
    "with spaces in the middle",
    "umlaut-äöü-0123456789",
    "x".repeat(1025),
  ])("T1: a token that cannot be meant is refused and not repeated: %j", (token) => {
    const fault = faultOf({ token });
    expect(fault).toContain("token must be 16 to 1024 visible ASCII characters");
    if (token !== "") expect(fault).not.toContain(token);
  });

  test.each(["0.0.0.0", "::", "192.0.2.1", "example.org", "128.0.0.1"])(
    "T1: host %s needs clients to be authenticated, or the word that they are not",
    (host) => {
      for (const none of [{}, { token: undefined }, { users: undefined }, { noAuth: false }]) {
        expect(faultOf({ host, ...none })).toMatch(/--token-file.*--users.*127\.0\.0\.1.*noAuth/);
      }
      const ways = [
        { token: TOKEN },
        { users: usersOf({}) },
        { authenticate: () => undefined },
        { noAuth: true },
      ];
      for (const way of ways) expect(resolveServerOptions({ host, ...way }).host).toBe(host);
    },
  );

  test("names under which it is dialed, in every form", () => {
    const publicNames = [
      "tunnel.example.org",
      "a.example:8443/t",
      "192.0.2.1:80",
      "[2001:db8::1]:9000",
      "h/",
    ];
    expect(resolveServerOptions({ publicNames }).publicNames).toEqual(publicNames);
  });

  test.each(["127.0.0.1", "127.1.2.3", "::1", "localhost", "LocalHost", "::ffff:127.0.0.1"])(
    "host %s is loopback",
    (host) => {
      expect(resolveServerOptions({ host }).host).toBe(host);
    },
  );
});
