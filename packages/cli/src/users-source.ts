import { MAX_USERS_FILE_BYTES, parseUsers, type Users } from "@culvert/policy";
import { fingerprintOf } from "./fingerprint.ts";
import { readInputFile } from "./input-file.ts";
import { asUsage } from "./option-fault.ts";

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
