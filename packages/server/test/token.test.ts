import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { describe, expect, test } from "vitest";
import { sharedToken } from "../src/token.ts";

const TOKEN = "0123456789abcdef";

function statusOf(
  token: string | undefined,
  authorization: string | undefined,
  localAddress?: string,
): number | string {
  const request = { headers: { authorization } } as IncomingMessage;
  const answer = sharedToken(token)(request, { localAddress } as unknown as Duplex);
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
});
