/** A shorter secret is a part of ordinary words: blotting it out everywhere would spoil lines, and show where it is. */
const MIN_PART_CHARACTERS = 8;
const BLOT = "[secret]";

/**
 * What was given to us in confidence, so that the log can take it out of its lines. The last line of defence: nothing logs a
 * secret, and if something did, it would not be seen.
 */
export class Secrets {
  readonly #whole = new Set<string>();
  /** Longest first: one may contain another. */
  #parts: readonly string[] = [];

  constructor(secrets: readonly string[] = []) {
    for (const secret of secrets) this.add(secret);
  }

  add(secret: string): void {
    if (secret === "" || this.#whole.has(secret)) return;
    this.#whole.add(secret);
    if (secret.length < MIN_PART_CHARACTERS) return;
    this.#parts = [...this.#parts, secret].sort((a, b) => b.length - a.length);
  }

  /** The text without them. It works on texts before they become a line, so that no secret can break the line's own syntax. */
  blot(text: string): string {
    if (this.#whole.has(text)) return BLOT;
    return this.#parts.reduce((rest, secret) => rest.replaceAll(secret, BLOT), text);
  }
}
