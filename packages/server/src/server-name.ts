import type { SecureContext } from "node:tls";
import type { SniCallback } from "./server-tls.ts";

/**
 * Answers the question of the TLS library which certificate goes with a name, with what somebody's callback says. `done` hears
 * of whatever the callback does but hang, and nothing is thrown: an exception here would end the process (CVE-2026-21637).
 */
export function contextFor(
  callback: SniCallback | undefined,
  serverName: string,
  done: (error: Error | null, context?: SecureContext) => void,
): void {
  if (callback === undefined) done(null);
  else
    ask(callback, serverName)
      .then((context) => done(null, context), done)
      .catch(ignore);
}

async function ask(callback: SniCallback, serverName: string): Promise<SecureContext | undefined> {
  let context: SecureContext | undefined;
  try {
    context = await callback(serverName);
  } catch (cause) {
    throw new Error("sniCallback failed", { cause });
  }
  if (context === undefined || context === null || typeof context.context === "object") return context;
  throw new TypeError("sniCallback must return what tls.createSecureContext makes, or undefined");
}

function ignore(): void {}
