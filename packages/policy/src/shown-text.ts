/** What a sentence shows of a text, so that a hostile one floods no log. */
const MAX_SHOWN_CHARACTERS = 80;

/** In quotes, short, with everything escaped that a terminal or a log could act on. */
export function shownText(text: string): string {
  // JSON leaves DEL, C1 and the characters that turn the writing direction as they are.
  const quoted = JSON.stringify(text.slice(0, MAX_SHOWN_CHARACTERS)).replace(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`,
  );
  return text.length <= MAX_SHOWN_CHARACTERS ? quoted : `${quoted}…`;
}
