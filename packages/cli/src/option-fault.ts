import { type CulvertError, ERRORS } from "@culvert/protocol";
import { UsageError } from "./usage-error.ts";

/**
 * What a library found wrong with its options, said in flags. The command checks nearly everything before; this is for the
 * rest, so that it too names a flag.
 *
 * @param names The library's names of options and their flags.
 */
export function optionFault(error: CulvertError, names: Readonly<Record<string, string>>): UsageError {
  const detail = error.message.replace(`${ERRORS[error.code].sentence}: `, "");
  const flagOf = (name: string): string => (Object.hasOwn(names, name) ? names[name]! : name);
  const sentence = detail
    .replace(/\btls\.\w+/g, flagOf)
    .replace(/^(?:session\.|retry\.)?(\w+)/, (_, name: string) => flagOf(name))
    // Further names are told from words by their capitals.
    .replace(/\b(?:session\.|retry\.)?([a-z]+(?:[A-Z][a-z]*)+)\b/g, (_, name: string) => flagOf(name));
  return new UsageError(sentence.endsWith("?") ? sentence : `${sentence}.`);
}
