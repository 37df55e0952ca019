/**
 * Something on the command line or in the environment is wrong. The message is one sentence for the person who typed it:
 * it names the flag and the mend, and never repeats a secret. Ends the command with exit code 2, before anything started.
 */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

const MAX_SHOWN_CHARACTERS = 80;

/** A token of ours, or the text of a key: wherever it was typed, it is not repeated into a log. */
const SECRET = /culvert_[a-z0-9]{8}_[\w-]{43}|PRIVATE KEY-----/;

/** What was typed, as an error shows it: as it stands where that is unambiguous, otherwise quoted and escaped, and cut. */
export function shown(text: string): string {
  if (SECRET.test(text)) return "(what looks like a secret)";
  const short = text.length > MAX_SHOWN_CHARACTERS ? `${text.slice(0, MAX_SHOWN_CHARACTERS)}…` : text;
  // Visible ASCII without quotes cannot steer a terminal, nor hide where it ends.
  if (/^[\x21-\x7e…]+$/.test(short) && !/["'`]/.test(short)) return short;
  return JSON.stringify(short).replace(/[^\x20-\x7e…]/g, escaped);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
