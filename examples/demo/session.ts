import type { RetryOptions } from "@culvert/client";
import type { SessionOptions } from "@culvert/server";

/**
 * A WebSocket that is swallowed is known by its silence alone. The default of 25 s suits real networks, but nobody wants
 * to watch it. And more pings than usual, because each measures the round trip.
 */
export const QUICK_TO_NOTICE: Partial<SessionOptions> = { pingIntervalMs: 500, silenceMs: 2000 };

/**
 * A client dials at once after a WebSocket that held for a while, and waits a little after one that did not. Here they
 * die every second, so a while is shorter than the usual 30 s.
 */
export const USED_TO_TROUBLE: RetryOptions = { stableMs: 300 };
