import { decodeHandshake, encodeHello, SESSION_DEFAULTS } from "@culvert/protocol";
import { helloOf } from "./hello.ts";

/**
 * Would a server take this text of at most 255 characters for a name? Not with control characters, nor with marks that turn
 * the direction of writing. Asked of the very code that reads it there: a client that found out only from the refusal would
 * look for the fault everywhere else.
 */
export function isPlainText(text: string): boolean {
  const hello = helloOf({ session: SESSION_DEFAULTS, name: "-", agent: text }, "0".repeat(32), 1, undefined);
  try {
    decodeHandshake(encodeHello(hello));
    return true;
  } catch {
    return false;
  }
}
