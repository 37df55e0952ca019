import { CulvertError } from "@culvert/protocol";
import { UsageError } from "./usage-error.ts";

/**
 * What a library found wrong with its options, said in flags. The command checks nearly everything before; this is for the
 * rest, so that it too names a flag.
 *
 * @param names The library's names of options and their flags.
 */
export function optionFault(error: CulvertError, names: Readonly<Record<string, string>>): UsageError {
  const { detail = error.message } = error;
  const flagOf = (name: string): string => (Object.hasOwn(names, name) ? names[name]! : name);
  const sentence = detail
    .replace(/\btls\.\w+/g, flagOf)
    .replace(/^(?:session\.|retry\.)?(\w+)/, (_, name: string) => flagOf(name))
    // Further names are told from words by their capitals.
    .replace(/\b(?:session\.|retry\.)?([a-z]+(?:[A-Z][a-z]*)+)\b/g, (_, name: string) => flagOf(name));
  return new UsageError(sentence.endsWith("?") ? sentence : `${sentence}.`);
}

/** Has what a library finds wrong with its options said in flags, see {@link optionFault}. */
export function inFlags<T>(act: () => T, names: Readonly<Record<string, string>>): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof CulvertError && error.code === "invalid_option") throw optionFault(error, names);
    throw error;
  }
}

/**
 * What the library finds wrong, as a mistake of who wrote it; the library's sentence names the place and the mend.
 * @param prefix Stands before that sentence.
 */
export function asUsage<T>(read: () => T, prefix = ""): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof CulvertError)) throw error;
    const { detail = error.message } = error;
    throw new UsageError(`${prefix}${detail}${/[.?]$/.test(detail) ? "" : "."}`);
  }
}
