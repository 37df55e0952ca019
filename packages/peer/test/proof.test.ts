import { describe, expect, test } from "vitest";
import { makeProof, newInstanceId, newSecret, verifyProof } from "../src/proof.ts";

const input = new TextEncoder().encode("culvert.v1 resume\ns\n1\n0");

describe("proof", () => {
  test("is HMAC-SHA-256 under the decoded secret", () => {
    // RFC 4231 test case 2: key "Jefe", data "what do ya want for nothing?"
    const secret = Buffer.from("Jefe").toString("base64url");
    const data = new TextEncoder().encode("what do ya want for nothing?");
    const expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    expect(Buffer.from(makeProof(secret, data), "base64url").toString("hex")).toBe(expected);
  });

  test("verifies what was made with the same secret and input only", () => {
    const secret = newSecret();
    const proof = makeProof(secret, input);
    expect(verifyProof(secret, input, proof)).toBe(true);
    expect(verifyProof(newSecret(), input, proof)).toBe(false);
    expect(verifyProof(secret, new Uint8Array([...input, 0]), proof)).toBe(false);
  });

  test("a changed character anywhere fails", () => {
    const secret = newSecret();
    const proof = makeProof(secret, input);
    for (let i = 0; i < proof.length - 1; i += 1) {
      const changed = `${proof.slice(0, i)}${proof[i] === "A" ? "B" : "A"}${proof.slice(i + 1)}`;
      expect(verifyProof(secret, input, changed)).toBe(false);
    }
  });

  test("a proof of another length, or none, is false and not an exception", () => {
    const secret = newSecret();
    for (const proof of ["", "A", "A".repeat(42), "A".repeat(44), "A".repeat(100_000), "\u0000€", "===="]) {
      expect(verifyProof(secret, input, proof)).toBe(false);
    }
  });

  test("secrets and instance ids have the form that the handshake demands, and differ", () => {
    expect(newSecret()).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(newInstanceId()).toMatch(/^[0-9a-f]{32}$/);
    expect(newSecret()).not.toBe(newSecret());
    expect(newInstanceId()).not.toBe(newInstanceId());
  });
});
