import { describe, expect, it } from "vitest";
import { connectError, refusalError, retryAfterMs } from "../src/dial-failure.ts";

const url = new URL("ws://host2:9000/t?key=hunter2");

describe("refusalError", () => {
  it.each([
    [401, "", "unauthorized"],
    [407, "", "unauthorized"],
    [403, "", "refused_by_server"],
    [
      400,
      "The WebSocket subprotocol culvert.v2 must be offered: is this a Culvert client",
      "version_unsupported",
    ],
    [400, "bad request", "not_culvert"],
    [404, "", "not_culvert"],
    [405, "", "not_culvert"],
    [426, "", "not_culvert"],
    [200, "<html>", "not_culvert"],
    [302, "", "not_culvert"],
    [408, "", "connect_failed"],
    [425, "", "connect_failed"],
    [429, "", "connect_failed"],
    [500, "", "connect_failed"],
    [502, "", "connect_failed"],
    [503, "", "connect_failed"],
    [504, "", "connect_failed"],
  ])("%i with %j is %s", (status, body, code) => {
    const error = refusalError({ status, body }, url, "token");
    expect(error.code).toBe(code);
    expect(error.message).toContain("ws://host2:9000/t");
    expect(error.message).not.toContain("hunter2");
  });

  it("guesses that the token is wrong only where there is one", () => {
    const sentence = (credentials: "token" | "key" | undefined, takesKeys = false): string =>
      refusalError({ status: 401, body: "", takesKeys }, url, credentials).message;
    expect(sentence("token")).toMatch(/answered 401: is the token right\?$/);
    expect(sentence("key", true)).toMatch(
      /answered 401: does it know the key, and itself by the name in this URL\?$/,
    );
    expect(sentence("key")).toMatch(/answered 401 and takes no login by key$/);
    expect(sentence(undefined)).toMatch(/answered 401$/);
  });
});

describe("connectError", () => {
  it("tells what the system says", () => {
    const cause = Object.assign(new Error("connect ECONNREFUSED 127.0.0.1:9"), { code: "ECONNREFUSED" });
    const error = connectError(cause, url);
    expect(error).toMatchObject({ code: "connect_failed", cause });
    expect(error.message).toContain("ECONNREFUSED");
  });

  it("tells what became of each address", () => {
    const parts = [new Error("connect ECONNREFUSED ::1:9"), new Error("connect ECONNREFUSED 127.0.0.1:9")];
    const error = connectError(
      Object.assign(new AggregateError(parts, "several"), { message: "", code: "ECONNREFUSED" }),
      url,
    );
    expect(error.message).toContain("connect ECONNREFUSED ::1:9; connect ECONNREFUSED 127.0.0.1:9");
  });

  it("E1: a server that closes without a word may speak TLS, unless it was never reached", () => {
    const closed = Object.assign(new Error("socket hang up"), { code: "ECONNRESET" });
    expect(connectError(closed, url).message).toMatch(/hang up without an answer: .* TLS, use wss:\/\/$/);
    expect(connectError(closed, new URL("wss://host2:9000")).message).toMatch(/hang up$/);
    const unreached = Object.assign(new Error("connect ECONNRESET"), {
      code: "ECONNRESET",
      syscall: "connect",
    });
    expect(connectError(unreached, url).message).toMatch(/ECONNRESET$/);
  });

  it("knows an answer that is not HTTP", () => {
    const cause = Object.assign(new Error("Parse Error: Expected HTTP/"), { code: "HPE_INVALID_CONSTANT" });
    expect(connectError(cause, url).code).toBe("not_culvert");
  });

  it("takes whatever is thrown", () => {
    expect(connectError("no", url).code).toBe("connect_failed");
    expect(connectError(undefined, url).code).toBe("connect_failed");
  });
});

describe("retryAfterMs", () => {
  const now = Date.UTC(2026, 0, 1, 12, 0, 0);

  it.each([
    ["0", 0],
    ["120", 120_000],
    ["Thu, 01 Jan 2026 12:00:30 GMT", 30_000],
    ["Thu, 01 Jan 2026 11:00:00 GMT", 0],
    ["soon", undefined],
    ["-5", undefined],
    ["", undefined],
    [undefined, undefined],
  ])("reads %j as %j", (value, ms) => {
    expect(retryAfterMs(value, now)).toBe(ms);
  });
});
