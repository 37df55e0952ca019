/** Bytes of one text in a line of a log. */
const MAX_TEXT_BYTES = 256;

/**
 * What may be written into a log of a text that comes from strangers: a name, a path, a reason. Cut to `maxBytes` (256), and
 * control characters and those that turn the direction of writing shown as escapes, so that nobody can forge a line or steer
 * the terminal of the person who reads it (CWE-117, CWE-150).
 */
export function safeText(text: string, maxBytes: number = MAX_TEXT_BYTES): string {
  const cut = cutToBytes(text, maxBytes);
  return withEscapes(cut.length < text.length ? `${cut}…` : cut);
}

/** The text with every dangerous character as the escape that it has in JSON. */
export function withEscapes(text: string): string {
  return text.replace(DANGEROUS, escaped);
}

/** Control characters (C0, DEL, C1), line and paragraph separators, marks of direction, lone surrogates, byte order mark. */
const DANGEROUS = /[\p{Cc}\p{Cs}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/gu;

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** At most so many bytes of UTF-8, and no part of a character. */
export function cutToBytes(text: string, maxBytes: number): string {
  // A character has 3 bytes a UTF-16 unit at most: no need to encode what is short, nor all of what is long.
  if (text.length * 3 <= maxBytes) return text;
  const encoded = Buffer.from(text.slice(0, maxBytes + 1));
  if (encoded.length <= maxBytes && text.length <= maxBytes) return text;
  let end = Math.min(maxBytes, encoded.length);
  // Not in the middle of a character.
  while (end > 0 && (encoded[end]! & 0xc0) === 0x80) end -= 1;
  return encoded.toString("utf8", 0, end);
}
