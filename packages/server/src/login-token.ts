import { createHash, randomBytes, randomInt } from "node:crypto";

/** A token of a user, just drawn. */
export interface NewToken {
  /** The secret: `culvert_ID_SECRET`. It is kept nowhere; show it once. */
  readonly text: string;
  /** For the users file, see {@link tokenDigest}. */
  readonly digest: string;
}

const ID_LENGTH = 8;
const ID_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789";
const SECRET_BYTES = 32;
const TOKEN = /^culvert_([a-z0-9]{8})_[A-Za-z0-9_-]{43}$/;

/**
 * Draws a token: an id, by which the server finds its user, and 256 random bits. So much cannot be guessed, so a plain hash
 * is enough to keep it: there is nothing that a slow one would slow down.
 */
export function newToken(): NewToken {
  const id = Array.from({ length: ID_LENGTH }, () => ID_CHARACTERS[randomInt(ID_CHARACTERS.length)]).join("");
  const text = `culvert_${id}_${randomBytes(SECRET_BYTES).toString("base64url")}`;
  return { text, digest: digestLine(id, text) };
}

/** The part of a token that is no secret; undefined for what is not a token of a user. */
export function tokenId(text: string): string | undefined {
  return TOKEN.exec(text)?.[1];
}

/** The line for the users file: `ID:sha256:BASE64URL`, a SHA-256 over all of `text`; undefined as {@link tokenId}. */
export function tokenDigest(text: string): string | undefined {
  const id = tokenId(text);
  return id === undefined ? undefined : digestLine(id, text);
}

function digestLine(id: string, text: string): string {
  return `${id}:sha256:${createHash("sha256").update(text).digest("base64url")}`;
}
