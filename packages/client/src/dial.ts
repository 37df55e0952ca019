import type { Duplex } from "node:stream";
import type { LoginKey, Transport } from "@culvert/peer";
import type { CulvertError } from "@culvert/protocol";

/** What a connector is asked for. */
export interface ConnectRequest {
  /** The server that is dialed, in its `ws:` or `wss:` form. */
  readonly url: URL;
  /** Counts the dials of this client, from 1. */
  readonly attempt: number;
  /** Aborted when the dial is given up. A connection that comes later is destroyed. */
  readonly signal: AbortSignal;
}

/**
 * Opens the raw byte connection under a WebSocket, in place of a TCP connection to the host of the URL; for example
 * through a proxy. For a `wss:` URL TLS is spoken over what it returns. Asked for each dial. The client owns the result.
 */
export type Connector = (request: ConnectRequest) => Duplex | Promise<Duplex>;

/** One dial: everything that is known before it begins. */
export interface DialPlan {
  readonly url: URL;
  readonly attempt: number;
  /** Headers of the upgrade request, already checked. */
  readonly headers: Readonly<Record<string, string>>;
  /** From the start of the dial to the end of the upgrade. */
  readonly timeoutMs: number;
  readonly connector: Connector | undefined;
  /** Logs the client in, if the server gives a challenge. */
  readonly key?: LoginKey | undefined;
}

/** Why a dial failed, or a transport is no more. */
export interface DialEnd {
  readonly cause: CulvertError;
  /** The server's wish, ms from now. */
  readonly retryAfterMs: number | undefined;
  /** What a server that refused wants to have signed; only for a plan with a key, that has not logged in by it yet. */
  readonly challenge?: string | undefined;
}

export interface DialEvents {
  /** The WebSocket is open. Whoever hears this owns the transport. */
  onOpen(transport: Transport, plan: DialPlan): void;
  /** Once for each dial, last: it failed, or the transport that it made is closed. */
  onOver(end: DialEnd, plan: DialPlan): void;
}
