import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { silentLogger } from "@culvert/peer";
import { describe, expect, test } from "vitest";
import { Authenticators } from "../src/authenticators.ts";

const TOKEN = "0123456789abcdef";

function authenticators(token: string | undefined, noAuth = false): Authenticators {
  return new Authenticators({
    token,
    users: undefined,
    authenticate: undefined,
    noAuth,
    handshakeTimeoutMs: 1000,
    logger: silentLogger,
  });
}

function statusOf(
  token: string | undefined,
  authorization: string | undefined,
  localAddress?: string,
  {
    remoteAddress = localAddress,
    headers = {},
    noAuth = false,
  }: { remoteAddress?: string; headers?: object; noAuth?: boolean } = {},
): number | string {
  const request = { headers: { authorization, ...headers }, rawHeaders: [] } as unknown as IncomingMessage;
  const socket = { localAddress, remoteAddress } as unknown as Duplex;
  const answer = authenticators(token, noAuth).authenticate(request, socket);
  if (answer instanceof Promise) throw new Error("nothing takes time here");
  return answer.kind === "identity" ? answer.identity.name : answer.answer.status;
}

describe("the shared token, and nobody", () => {
  test("the token in a Bearer header, its scheme in any case, from anywhere", () => {
    for (const header of [`Bearer ${TOKEN}`, `bearer ${TOKEN}`, `BEARER   ${TOKEN}`]) {
      expect(statusOf(TOKEN, header, "192.0.2.1")).toBe("token");
    }
  });

  test.each([
    undefined,
    "",
    TOKEN,
    "Bearer",
    "Bearer ",
    `Bearer ${TOKEN} `,
    `Bearer ${TOKEN}a`,
    `Basic ${TOKEN}`,
    "Bearer ä",
  ])("%j is refused, also over loopback", (header) => {
    expect(statusOf(TOKEN, header, "127.0.0.1")).toBe(401);
  });

  test("without a token: loopback and unix sockets only, whatever the header says", () => {
    for (const address of ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", undefined]) {
      expect(statusOf(undefined, undefined, address)).toBe("loopback");
    }
    for (const address of ["192.0.2.1", "::ffff:192.0.2.1", "fe80::1", "0.0.0.0"]) {
      expect(statusOf(undefined, `Bearer ${TOKEN}`, address)).toBe(403);
    }
  });

  test("without a token: both ends of the connection are on loopback", () => {
    for (const remoteAddress of ["192.0.2.1", "::ffff:192.0.2.1", "fe80::1", ""]) {
      expect(statusOf(undefined, undefined, "127.0.0.1", { remoteAddress })).toBe(403);
    }
    expect(statusOf(undefined, undefined, undefined, { remoteAddress: "192.0.2.1" })).toBe(403);
    expect(statusOf(undefined, undefined, "127.0.0.1", { remoteAddress: "127.0.0.2" })).toBe("loopback");
  });

  test.each(["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip", "via"])(
    "without a token: what a proxy passed on, as %s shows, is refused; with one it is not",
    (name) => {
      const headers = { [name]: "" };
      for (const address of ["127.0.0.1", undefined]) {
        expect(statusOf(undefined, undefined, address, { headers })).toBe(403);
      }
      expect(statusOf(TOKEN, `Bearer ${TOKEN}`, "127.0.0.1", { headers })).toBe("token");
    },
  );
});
