import { CulvertError, SESSION_DEFAULTS } from "@culvert/protocol";
import { describe, expect, it } from "vitest";
import { CLIENT_DEFAULTS, type ClientOptions, resolveClientOptions } from "../src/client-options.ts";
import { CONNECT, LISTEN } from "../src/mode.ts";
import { RETRY_DEFAULTS } from "../src/retry-options.ts";

const server = "ws://host2:9000";

/** What no compiler would let pass. */
function resolveAny(options: unknown): unknown {
  return resolveClientOptions(options as ClientOptions);
}

function faultOf(options: unknown): CulvertError {
  try {
    resolveAny(options);
  } catch (error) {
    if (error instanceof CulvertError) return error;
    throw error;
  }
  throw new Error("the options were accepted");
}

describe("defaults", () => {
  it("are filled in when only the server is given", () => {
    const options = resolveClientOptions({ server });
    expect(options).toMatchObject({
      ...CLIENT_DEFAULTS,
      retry: RETRY_DEFAULTS,
      tunnels: [],
      token: undefined,
      graceMs: undefined,
      session: { ...SESSION_DEFAULTS, maxTunnels: 0 },
    });
    expect(options.server).toEqual([new URL("ws://host2:9000/")]);
    expect(options.name).toMatch(/^auto-/);
  });

  it("count also for what is given as undefined", () => {
    const options = resolveClientOptions({ server, token: undefined, signal: undefined, lookup: undefined });
    expect(options.token).toBeUndefined();
    expect(resolveAny({ server, drainMs: undefined, retry: undefined, session: undefined })).toMatchObject({
      drainMs: 10_000,
    });
  });

  it("are frozen with the rest", () => {
    const options = resolveClientOptions({ server, tunnels: [], retry: { baseMs: 1 }, headers: { a: "b" } });
    for (const value of [
      options,
      options.retry,
      options.session,
      options.tunnels,
      options.headers,
      options.server,
    ]) {
      expect(Object.isFrozen(value)).toBe(true);
    }
  });
});

describe("what is given", () => {
  it("counts", () => {
    const connector = (): never => {
      throw new Error("never called here");
    };
    const given: ClientOptions = {
      server: ["ws://a", "https://b/t"],
      token: "0123456789abcdef",
      name: "laptop",
      headers: { "X-Route": "a" },
      connector,
      retry: { baseMs: 1, maxAttempts: 3, maxElapsedMs: 9 },
      session: { graceMs: 5000, maxStreams: 7 },
      dialTimeoutMs: 1,
      drainMs: 0,
      signal: new AbortController().signal,
      agent: "test/1",
      random: () => 0,
    };
    expect(resolveClientOptions(given)).toMatchObject({
      ...given,
      server: [new URL("ws://a/"), new URL("wss://b/t")],
      retry: { ...RETRY_DEFAULTS, baseMs: 1, maxAttempts: 3, maxElapsedMs: 9 },
      graceMs: 5000,
    });
  });

  it("names each server once", () => {
    const options = resolveClientOptions({ server: ["ws://a", "http://a:80/", "ws://b"] });
    expect(options.server).toEqual([new URL("ws://a/"), new URL("ws://b/")]);
  });

  it("may be functions where something is asked before each dial", () => {
    const options = resolveClientOptions({ server: async () => server, headers: () => ({}) });
    expect(options.server).toBeTypeOf("function");
    expect(options.headers).toBeTypeOf("function");
  });
});

describe("tunnels", () => {
  it("have a short form for one", () => {
    const options = resolveClientOptions({
      server,
      mode: CONNECT,
      listen: "0.0.0.0:5678",
      connect: "srv:6789",
    });
    expect(options.tunnels).toEqual([
      {
        mode: "connect",
        listen: { scheme: "tcp", host: "0.0.0.0", port: 5678 },
        connect: { scheme: "tcp", host: "srv", port: 6789 },
        name: "tcp://0.0.0.0:5678",
      },
    ]);
  });

  it("may be several, listen in short, and hand streams to a callback in LISTEN mode", () => {
    const onStream = (): void => undefined;
    const options = resolveClientOptions({
      server,
      tunnels: [
        { mode: CONNECT, listen: "8080", connect: "[::1]:80", name: "web" },
        { mode: LISTEN, listen: "unix:///run/x.sock", connect: onStream },
      ],
    });
    expect(options.tunnels).toMatchObject([
      { name: "web", listen: { host: "127.0.0.1", port: 8080 } },
      { name: "unix:///run/x.sock", connect: onStream },
    ]);
  });

  it("decide on the default name", () => {
    const web = { mode: LISTEN, listen: "80", connect: "a:80" } as const;
    const nameOf = (listen: string): string =>
      resolveClientOptions({ server, tunnels: [{ ...web, listen }] }).name;
    expect(nameOf("80")).toBe(nameOf("tcp://127.0.0.1:80"));
    expect(nameOf("80")).not.toBe(nameOf("81"));
  });
});

describe("each fault is one sentence that names the option", () => {
  const tunnel = { mode: CONNECT, listen: "1", connect: "a:1" };

  it.each<[string, unknown, RegExp]>([
    ["no options", undefined, /the options must be an object/],
    ["no server", {}, /server must be a URL/],
    ["an empty list", { server: [] }, /server must name at least one/],
    ["a bad server in a list", { server: [server, "nonsense"] }, /server\[1\] must be a URL/],
    ["an unknown option", { server, sever: 1 }, /no option sever/],
    ["an unknown option of retry", { server, retry: { delay: 1 } }, /no option retry\.delay/],
    ["an unknown option of session", { server, session: { window: 1 } }, /no option session\.window/],
    [
      "an unknown option of a tunnel",
      { server, tunnels: [{ ...tunnel, port: 1 }] },
      /no option tunnels\[0\]\.port/,
    ],
    ["retry as a number", { server, retry: 3 }, /retry must be an object/],
    [
      "a negative delay",
      { server, retry: { baseMs: -1 } },
      /retry\.baseMs must be an integer from 0 to \d+, not -1/,
    ],
    ["half a millisecond", { server, retry: { capMs: 0.5 } }, /retry\.capMs must be an integer/],
    ["no time to connect", { server, retry: { connectTimeoutMs: 0 } }, /retry\.connectTimeoutMs .* from 1/],
    ["a shrinking ladder", { server, retry: { factor: 0.5 } }, /retry\.factor must be a number from 1/],
    ["a factor that is no number", { server, retry: { factor: Number.NaN } }, /retry\.factor/],
    ["no attempts", { server, retry: { maxAttempts: 0 } }, /retry\.maxAttempts .* from 1/],
    ["an endless limit", { server, retry: { maxAttempts: Infinity } }, /retry\.maxAttempts/],
    ["a bad session value", { server, session: { maxStreams: 0 } }, /session\.maxStreams must be an integer/],
    [
      "a sleepy keepalive",
      { server, session: { pingIntervalMs: 5, silenceMs: 5 } },
      /session\.silenceMs must be longer/,
    ],
    ["a drain that is no number", { server, drainMs: "10s" }, /drainMs must be an integer .*not a string/],
    ["a dial time-out of none", { server, dialTimeoutMs: 0 }, /dialTimeoutMs/],
    ["an empty token", { server, token: "" }, /token must be 1 to 1024 visible/],
    ["a token with a line break", { server, token: "a\r\nX: y" }, /token must be/],
    ["two credentials", { server, token: "x", headers: { AUTHORIZATION: "y" } }, /token and headers/],
    ["an empty name", { server, name: "" }, /name must have 1 to 255/],
    ["a name with an escape", { server, name: "\u001b[31m" }, /name must not contain control/],
    ["a name that turns the writing", { server, name: "a\u202egpj.exe" }, /name must not contain control/],
    ["an agent with a mark", { server, agent: "a\u200e" }, /agent must not contain control/],
    [
      "a tunnel's name of two lines",
      { server, tunnels: [{ ...tunnel, name: "a\u2028b" }] },
      /tunnels\[0\]\.name must not contain control/,
    ],
    ["a header of the WebSocket", { server, headers: { Upgrade: "h2c" } }, /must not set Upgrade/],
    ["a header with a line break", { server, headers: { a: "b\r\nc: d" } }, /headers has a name or a value/],
    ["a header that is no text", { server, headers: { a: 1 } }, /headers must have strings/],
    ["headers as a list", { server, headers: [] }, /headers must be an object/],
    ["redirects as a switch", { server, redirects: true }, /redirects must be "same-host" or "any"/],
    ["a connector that is none", { server, connector: {} }, /connector must be a function/],
    ["a logger that is none", { server, logger: { info: () => undefined } }, /logger must be an object with/],
    ["a signal that is none", { server, signal: {} }, /signal must be an AbortSignal/],
    ["tunnels as one", { server, tunnels: tunnel }, /tunnels must be an array/],
    [
      "both forms",
      { server, tunnels: [tunnel], mode: CONNECT },
      /mode must not be given together with tunnels/,
    ],
    ["half of the short form", { server, mode: CONNECT, listen: "1" }, /connect must be an endpoint/],
    ["no mode", { server, listen: "1", connect: "a:1" }, /mode must be CONNECT/],
    ["another mode", { server, ...tunnel, mode: "both" }, /mode must be CONNECT/],
    [
      "a callback in CONNECT mode",
      { server, ...tunnel, connect: () => undefined },
      /connect must be an endpoint: the server/,
    ],
  ])("%s", (_what, options, message) => {
    const fault = faultOf(options);
    expect(fault.code).toBe("invalid_option");
    expect(fault.message).toMatch(message);
  });

  it.each<[string, unknown, RegExp]>([
    ["a listen address", { server, ...tunnel, listen: "a:b" }, /listen "a:b"/],
    ["a target", { server, tunnels: [tunnel, { ...tunnel, connect: "a" }] }, /tunnels\[1\]\.connect "a"/],
    ["a target of port 0", { server, ...tunnel, connect: "a:0" }, /connect .*port/],
  ])("%s that is none is a bad address", (_what, options, message) => {
    const fault = faultOf(options);
    expect(fault.code).toBe("bad_address");
    expect(fault.message).toMatch(message);
  });

  it("and never shows a secret", () => {
    expect(faultOf({ server, token: "hunter2 with spaces" }).message).not.toContain("hunter2");
    expect(faultOf({ server, headers: { a: "hunter2\n" } }).message).not.toContain("hunter2");
  });
});
