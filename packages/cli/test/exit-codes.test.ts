import { CulvertError, ERRORS, type ErrorCode } from "@culvert/protocol";
import { describe, expect, it } from "vitest";
import { EXIT, EXIT_TABLE, exitCodeOf } from "../src/exit-codes.ts";
import { failureSentence } from "../src/failure.ts";
import { UsageError } from "../src/usage-error.ts";

describe("exitCodeOf", () => {
  it.each<[ErrorCode, number]>([
    ["closed", 0],
    ["invalid_option", 2],
    ["bad_address", 2],
    ["address_in_use", 69],
    ["address_unavailable", 69],
    ["address_forbidden", 69],
    ["bind_failed", 69],
    ["listen_failed", 69],
    ["attempts_exhausted", 69],
    ["deadline_exhausted", 69],
    ["not_culvert", 69],
    ["displaced", 75],
    ["unauthorized", 77],
    ["forbidden", 77],
    ["refused_by_server", 77],
    ["version_unsupported", 77],
    ["internal_error", 70],
    ["already_started", 70],
  ])("of %s is %i", (code, exitCode) => {
    expect(exitCodeOf(new CulvertError(code))).toBe(exitCode);
  });

  it("of a mistake of the user is 2, of anything else 70", () => {
    expect(exitCodeOf(new UsageError("no."))).toBe(2);
    expect(exitCodeOf(new TypeError("x is not a function"))).toBe(70);
    expect(exitCodeOf("thrown text")).toBe(70);
    expect(exitCodeOf(undefined)).toBe(70);
  });

  it("is always in the table", () => {
    const listed = EXIT_TABLE.flatMap(([codes]) => String(codes).split(", ").map(Number));
    expect(listed.sort((a, b) => a - b)).toEqual(Object.values(EXIT).sort((a, b) => a - b));
    for (const code of Object.keys(ERRORS)) {
      expect(listed).toContain(exitCodeOf(new CulvertError(code as ErrorCode)));
    }
  });
});

describe("failureSentence", () => {
  const server = { command: "server", login: "token" } as const;
  const client = { command: "client", login: "token" } as const;

  it.each([
    [
      new CulvertError("address_in_use", "127.0.0.1:9000"),
      server,
      "the listen address is already in use: 127.0.0.1:9000; choose another port with --port, or stop the program that has this one.",
    ],
    [
      new CulvertError("listen_failed", "tcp://127.0.0.1:80: …", {
        cause: new CulvertError("address_forbidden", "tcp://127.0.0.1:80 (EACCES)"),
      }),
      client,
      "listening there needs rights that the process does not have: tcp://127.0.0.1:80 (EACCES); choose a port above 1023 with -L, or give this user the right.",
    ],
    [
      new CulvertError("unauthorized", "ws://h/ answered 401: is the token right?"),
      client,
      "the server does not accept the credentials: ws://h/ answered 401; give both sides the same token, or the users file of the server the hash of this one.",
    ],
    [
      new CulvertError("unauthorized", "ws://h/ answered 401: is the token right?"),
      { ...client, login: undefined },
      "the server does not accept the credentials: ws://h/ answered 401; this client has no token and no key: add --token-file <file> or --login-key <file>, or set CULVERT_TOKEN.",
    ],
    [
      new CulvertError("unauthorized", "ws://h/ answered 401: does it know the key?"),
      { ...client, login: "key" as const },
      "the server does not accept the credentials: ws://h/ answered 401; give the users file of the server the line that culvert key show prints, and a server behind a proxy the host of this URL by --public-name.",
    ],
    [
      new CulvertError("unauthorized", "wss://h/ answered 401"),
      { ...client, login: "certificate" as const },
      "the server does not accept the credentials: wss://h/ answered 401; give the users file of the server the line for this certificate that culvert cert client printed, and the server --tls-client-ca, or it does not ask for one.",
    ],
    [
      new CulvertError("displaced"),
      client,
      "another client with the same name took over; give each client a --name of its own.",
    ],
    [
      new CulvertError("attempts_exhausted", "the last reason was: the server cannot be reached"),
      client,
      "the limit on connection attempts is reached: the last reason was: the server cannot be reached.",
    ],
    [new UsageError("--port 80a is wrong."), client, "--port 80a is wrong."],
    [
      new TypeError("secret"),
      client,
      "an internal error, a mistake in culvert and not yours: please report it with what --log-level debug shows.",
    ],
  ])("of %s", (error, failed, sentence) => {
    expect(failureSentence(error, failed)).toBe(sentence);
  });
});
