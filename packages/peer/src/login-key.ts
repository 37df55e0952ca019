import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { CulvertError } from "@culvert/protocol";

/** The private half of a key that logs a client in. It does not show itself when it is printed or turned into JSON. */
export interface LoginKey {
  /** The public half, as in a users file: `ed25519:BASE64`. */
  readonly publicText: string;
  /** Ed25519 (RFC 8032), 64 bytes. */
  sign(bytes: Uint8Array): Buffer;
}

const PREFIX = "ed25519:";
const KEY_BYTES = 32;

/** Draws a new key. `pem` (PKCS #8) is the secret, for a file that only its owner can read; `publicText` is not. */
export function newLoginKey(): { readonly pem: string; readonly publicText: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return {
    pem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    publicText: publicTextOf(publicKey),
  };
}

/**
 * Reads a private key: PKCS #8 PEM of an Ed25519 key, not encrypted.
 * @throws CulvertError `invalid_option`; never with a part of the key.
 */
export function readLoginKey(pem: string | Buffer): LoginKey {
  const text = pem.toString();
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----/.test(text)) {
    throw unusable(
      "it is encrypted: take the pass phrase off, and keep the file readable for its owner only",
    );
  }
  if (/-----BEGIN OPENSSH PRIVATE KEY-----/.test(text)) {
    throw unusable("it is a key of OpenSSH; make one with: culvert key new");
  }
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) {
    throw unusable("it has no line -----BEGIN PRIVATE KEY-----; make one with: culvert key new");
  }
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: text, format: "pem" });
  } catch {
    throw unusable("it is damaged; make a new one with: culvert key new"); // the cause could quote it
  }
  if (key.asymmetricKeyType !== "ed25519") {
    throw unusable(`it is of the type ${key.asymmetricKeyType}, not Ed25519; make one with: culvert key new`);
  }
  const publicText = publicTextOf(createPublicKey(key));
  return { publicText, sign: (bytes) => sign(null, bytes, key) };
}

/**
 * Did the private half of `publicText` (`ed25519:BASE64`) sign these bytes? False for whatever is not a key or not a
 * signature; never throws.
 */
export function verifyLogin(publicText: string, bytes: Uint8Array, signature: Uint8Array): boolean {
  const key = publicKeyOf(publicText);
  return key !== undefined && verify(null, bytes, key, signature);
}

function publicTextOf(key: KeyObject): string {
  const { x = "" } = key.export({ format: "jwk" });
  return PREFIX + Buffer.from(x, "base64url").toString("base64");
}

function publicKeyOf(text: string): KeyObject | undefined {
  if (!text.startsWith(PREFIX)) return undefined;
  const bytes = Buffer.from(text.slice(PREFIX.length), "base64");
  // One spelling for each key: what decodes to the same bytes is not the same name.
  if (bytes.length !== KEY_BYTES || PREFIX + bytes.toString("base64") !== text) return undefined;
  const x = bytes.toString("base64url");
  return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
}

function unusable(what: string): CulvertError {
  return new CulvertError("invalid_option", `the private key cannot be used: ${what}`);
}
