import { createHash } from "node:crypto";

/** Tokens of two users. */
export const ann: string = `culvert_annannan_${"a".repeat(43)}`;
export const bob: string = `culvert_bobbobbo_${"b".repeat(43)}`;

/** The line of a token in the users file. */
export function tokenLine(token: string): string {
  const digest = createHash("sha256").update(token).digest("base64url");
  return `${token.slice("culvert_".length, "culvert_".length + 8)}:sha256:${digest}`;
}
