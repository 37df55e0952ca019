import type { CulvertError } from "@culvert/protocol";

/** What a function that is asked before each dial is told. */
export interface AttemptInfo {
  /** Counts the dials of this client, from 1. */
  readonly attempt: number;
  /** The server that holds the session which could be resumed; any other one would end it. */
  readonly resuming: string | undefined;
  /** Why the last dial failed, or the last transport ended. */
  readonly lastError: CulvertError | undefined;
  /** Aborted when the client is closed. */
  readonly signal: AbortSignal;
}

/** Names the server for one dial. A throw, a rejection or a bad URL counts as a failed dial. */
export type ServerProvider = (attempt: AttemptInfo) => string | Promise<string>;
/** Gives the headers for one dial; as with {@link ServerProvider}. */
export type HeadersProvider = (
  attempt: AttemptInfo,
) => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>;
/** Gives the token for one dial; as with {@link ServerProvider}. */
export type TokenProvider = (attempt: AttemptInfo) => string | Promise<string>;
