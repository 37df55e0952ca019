import { MAX_USERS_FILE_BYTES, parseUsers, type Users } from "@culvert/policy";
import { CulvertError, ERRORS } from "@culvert/protocol";
import { readInputFile } from "./input-file.ts";
import { UsageError } from "./usage-error.ts";

/**
 * Reads the users file. It holds no secrets, only hashes, so others may read it; whoever may change it decides who comes in.
 *
 * @param flag Names the flag in errors.
 * @throws UsageError naming the place in the file and the mend.
 */
export function readUsers(path: string, flag: string): Users {
  const content = readInputFile(path, flag, {
    maxBytes: MAX_USERS_FILE_BYTES,
    access: "not changed by others",
  });
  return asUsage(() => parseUsers(content, path));
}

/** What the library finds wrong, as a mistake of who wrote it; the library's sentence names the place and the mend. */
export function asUsage<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof CulvertError)) throw error;
    const detail = error.message.replace(`${ERRORS[error.code].sentence}: `, "");
    throw new UsageError(/[.?]$/.test(detail) ? detail : `${detail}.`);
  }
}
