import { nearest } from "@culvert/policy";
import { UsageError } from "./usage-error.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The variables that are read. Few on purpose: what is secret, and what depends on where a command runs. Ports and hosts
 * are not among them: container platforms set `CULVERT_PORT` and the like by themselves for a service of this name.
 */
export const ENVIRONMENT: readonly (readonly [name: string, meaning: string])[] = Object.freeze([
  ["CULVERT_TOKEN", "the shared token itself"],
  ["CULVERT_TOKEN_FILE", "a file with the shared token, as --token-file"],
  ["CULVERT_NAME", "the name of a client, as --name"],
  ["CULVERT_LOG_LEVEL", "as --log-level"],
  ["CULVERT_LOG_FORMAT", "as --log-format"],
  ["NO_COLOR", "when set: no colours"],
]);

const KNOWN = ENVIRONMENT.map(([name]) => name);

/**
 * Refuses a variable that is a misspelling of ours: `CULVERT_TOKN` set and silently not read is a server that its owner
 * believes to be guarded. Other `CULVERT_…` variables are somebody else's.
 * @throws UsageError
 */
export function checkEnvironment(env: Environment): void {
  for (const name of Object.keys(env)) {
    if (!name.startsWith("CULVERT_") || KNOWN.includes(name)) continue;
    const meant = nearest(name, KNOWN);
    if (meant !== undefined) {
      throw new UsageError(`the environment variable ${name} is not known: did you mean ${meant}?`);
    }
  }
}
