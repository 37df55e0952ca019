import { CulvertError } from "@culvert/protocol";
import { shownText } from "./shown-text.ts";

/** Why a text is no rule, no grant, no user; becomes a CulvertError where the name of the file or option is known. */
export class PolicyFault extends Error {
  override readonly name: string = "PolicyFault";
}

/** Runs what throws PolicyFaults, and makes of one the error of the project. */
export function orInvalidOption<T>(run: () => T, name?: string): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof PolicyFault)) throw error;
    const prefix = name === undefined ? "" : `${/[\p{C}\s"]/u.test(name) ? shownText(name) : name}: `;
    throw new CulvertError("invalid_option", `${prefix}${error.message}`);
  }
}
