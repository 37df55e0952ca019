import { type Hello, PROTOCOL_VERSION, type Resume } from "@culvert/protocol";
import type { ResolvedClientOptions } from "./client-options.ts";

/** What a client says first on a transport. `instance`: random id of the client object, 32 hex digits. */
export function helloOf(
  { session, name, agent }: Pick<ResolvedClientOptions, "session" | "name" | "agent">,
  instance: string,
  attempt: number,
  resume: Resume | undefined,
): Hello {
  const { maxStreams, maxPendingOpens, maxTunnels, initialWindowBytes, replayLimitBytes } = session;
  return {
    version: PROTOCOL_VERSION,
    instance,
    attempt,
    name,
    agent,
    limits: { maxStreams, maxPendingOpens, maxTunnels, initialWindowBytes, replayLimitBytes },
    keepalive: { intervalMs: session.pingIntervalMs, timeoutMs: session.silenceMs },
    ...(resume === undefined ? {} : { resume }),
  };
}
