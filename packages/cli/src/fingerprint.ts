import { createHash } from "node:crypto";

/** Equal for equal contents in the same order; shows nothing of them. */
export function fingerprintOf(contents: readonly (Uint8Array | string | undefined)[]): string {
  const hash = createHash("sha256");
  for (const content of contents) {
    // With its own hash each, so that no byte can move from one to the next unseen.
    hash.update(content === undefined ? "none" : createHash("sha256").update(content).digest());
  }
  return hash.digest("base64");
}
