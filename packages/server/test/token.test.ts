import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { describe, expect, test } from "vitest";
import { sharedToken } from "../src/token.ts";

const TOKEN = "0123456789abcdef";

function statusOf(
  token: string | undefined,
  authorization: string | undefined,
  localAddress?: string,
  { remoteAddress = localAddress, headers = {} }: { remoteAddress?: string; headers?: object } = {},
): number | string {
  const request = { headers: { authorization, ...headers } } as IncomingMessage;
  const answer = sharedToken(token)(request, { localAddress, remoteAddress } as unknown as Duplex);
  return answer.kind === "owner" ? answer.owner : answer.answer.status;
}

describe("sharedToken", () => {
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
