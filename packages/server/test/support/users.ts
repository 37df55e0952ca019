import { parseUsers, type Users } from "@culvert/policy";

/** Users as a users file has them, by name. */
export function usersOf(users: Readonly<Record<string, object>>): Users {
  return parseUsers(JSON.stringify({ version: 1, users }), "users.json");
}
