import { onTestFinished } from "vitest";
import { Client, type ClientEventOf } from "../../src/client.ts";
import type { ClientOptions } from "../../src/client-options.ts";
import type { ClientState } from "../../src/client-state.ts";
import type { RetryOptions } from "../../src/retry-options.ts";

/** A ladder for tests that wait for it. */
export const QUICK: RetryOptions = { baseMs: 5, capMs: 20, resumableCapMs: 20 };

export interface WatchedClient {
  readonly client: Client;
  /** Every state event so far. */
  readonly states: ClientEventOf<"state">[];
  /** Resolves when the client is in that state, now or later. */
  reaches(state: ClientState): Promise<void>;
}

/** A client that is closed when the test is over. */
export function watchedClient(options: ClientOptions): WatchedClient {
  const client = new Client({ name: "test", retry: QUICK, ...options });
  const states: ClientEventOf<"state">[] = [];
  const waiters = new Set<() => void>();
  client.on("state", (event) => {
    states.push(event);
    for (const waiter of waiters) waiter();
  });
  onTestFinished(() => client.close({ drainMs: 0 }));
  const reaches = (state: ClientState): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (client.state !== state) return;
        waiters.delete(look);
        resolve();
      };
      waiters.add(look);
      look();
    });
  return { client, states, reaches };
}
