import { MAX_USERS_FILE_BYTES, parseUsers, type Users } from "@culvert/policy";
import { CulvertError, ERRORS } from "@culvert/protocol";
import { fingerprintOf } from "./fingerprint.ts";
import { readInputFile } from "./input-file.ts";
import { UsageError } from "./usage-error.ts";

/** What a users file holds. */
export interface UsersRead {
  readonly users: Users;
  readonly fingerprint: string;
}

/**
 * Reads the users file. It holds no secrets, only hashes, so others may read it; whoever may change it decides who comes in.
 *
 * @param flag Names the flag in errors.
 * @throws UsageError naming the place in the file and the mend.
 */
export function readUsersFile(path: string, flag: string): UsersRead {
  const content = readInputFile(path, flag, {
    maxBytes: MAX_USERS_FILE_BYTES,
    access: "not changed by others",
  });
  return { users: asUsage(() => parseUsers(content, path)), fingerprint: fingerprintOf([content]) };
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
    const detail = error.message.replace(`${ERRORS[error.code].sentence}: `, "");
    throw new UsageError(`${prefix}${detail}${/[.?]$/.test(detail) ? "" : "."}`);
  }
}
