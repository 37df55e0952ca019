import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/** The randomness and the keyed hash that a resume rests on; the protocol itself does no cryptography. */

const SECRET_BYTES = 32;

/** A session secret: 256 random bits, base64url (43 characters). Whoever holds it can take the session over. */
export function newSecret(): string {
  return randomBytes(SECRET_BYTES).toString("base64url");
}

/** The random id of a process, 32 hex digits; not a secret. */
export function newInstanceId(): string {
  return randomBytes(16).toString("hex");
}

/**
 * Proves possession of `secret` without sending it: HMAC-SHA-256 over `input`, keyed with the 32 bytes that the secret
 * spells in base64url; the proof itself is base64url (43 characters).
 */
export function makeProof(secret: string, input: Uint8Array): string {
  return digest(secret, input).toString("base64url");
}

/** Is `proof` what {@link makeProof} gives? Takes equally long for every wrong proof and never throws. */
export function verifyProof(secret: string, input: Uint8Array, proof: string): boolean {
  const expected = digest(secret, input);
  const given = Buffer.from(proof, "base64url");
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function digest(secret: string, input: Uint8Array): Buffer {
  return createHmac("sha256", Buffer.from(secret, "base64url")).update(input).digest();
}
