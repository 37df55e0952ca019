import { EVERYTHING, type User, type Users } from "@culvert/policy";

/** One user as a test wants it; all that is left out is none. */
export type UserInput = Partial<Omit<User, "name" | "tokens">> & { readonly tokens?: readonly string[] };

/** Users by name, as they come out of a users file. */
export function usersOf(inputs: Readonly<Record<string, UserInput>>): Users {
  const byName = new Map<string, User>();
  const byTokenId = new Map<string, { readonly user: User; readonly token: User["tokens"][number] }>();
  const byKey = new Map<string, User>();
  const byCertificate = new Map<string, User>();
  for (const [name, input] of Object.entries(inputs)) {
    const tokens = (input.tokens ?? []).map((line) => {
      const [id = "", , sha256 = ""] = line.split(":");
      return { id, sha256 };
    });
    const user: User = {
      keys: [],
      certificates: [],
      grants: EVERYTHING,
      expiresAt: undefined,
      ...input,
      name,
      tokens,
    };
    byName.set(name, user);
    for (const token of tokens) byTokenId.set(token.id, { user, token });
    for (const key of user.keys) byKey.set(key, user);
    for (const match of user.certificates) {
      byCertificate.set(
        match.kind === "spki" ? `sha256:${match.sha256}` : `${match.kind}:${match.value}`,
        user,
      );
    }
  }
  return { byName, byTokenId, byKey, byCertificate };
}
