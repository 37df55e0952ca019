import { createHash, randomBytes, randomInt } from "node:crypto";

/** A token of a user, just drawn. */
export interface NewToken {
  /** The secret: `culvert_ID_SECRET`. It is kept nowhere; show it once. */
  readonly text: string;
  /** For the users file: `ID:sha256:BASE64URL`, a SHA-256 over all of `text`. */
  readonly digest: string;
}

const ID_LENGTH = 8;
const ID_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789";
const SECRET_BYTES = 32;

/**
 * Draws a token: an id, by which the server finds its user, and 256 random bits. So much cannot be guessed, so a plain hash
 * is enough to keep it: there is nothing that a slow one would slow down.
 */
export function newToken(): NewToken {
  const id = Array.from({ length: ID_LENGTH }, () => ID_CHARACTERS[randomInt(ID_CHARACTERS.length)]).join("");
  const text = `culvert_${id}_${randomBytes(SECRET_BYTES).toString("base64url")}`;
  const digest = createHash("sha256").update(text).digest("base64url");
  return { text, digest: `${id}:sha256:${digest}` };
}
