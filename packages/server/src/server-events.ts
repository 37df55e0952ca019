import type { CulvertError, ErrorCode } from "@culvert/protocol";

/** Of which session an event speaks. */
export interface SessionIdentity {
  readonly id: string;
  /** Who authenticated: the name of an {@link Identity} such as `user:alice`. */
  readonly owner: string;
  /** By what, for the last transport: `token:ID`, `key:BASE64`, … Never a secret. */
  readonly credential: string;
  /** The client's name, unique within its owner. */
  readonly name: string;
}

export type ServerState = "idle" | "running" | "draining" | "closed";
export type SessionState = "new" | "attached" | "detached" | "ended";

/** Everything that a server tells. */
export type ServerEvent =
  | { readonly type: "state"; readonly previous: ServerState; readonly current: ServerState }
  /** `cause` says why when `current` is `detached` or `ended`. */
  | {
      readonly type: "session";
      readonly session: SessionIdentity;
      readonly previous: SessionState;
      readonly current: SessionState;
      readonly cause?: CulvertError;
    }
  /** A listener that a client asked for. `address` is where it really listens; `code` why it does not. */
  | {
      readonly type: "tunnel";
      readonly session: SessionIdentity;
      readonly tunnelId: number;
      readonly name: string;
      readonly listen: string;
      readonly current: "listening" | "failed" | "closed";
      readonly address?: string;
      readonly code?: ErrorCode;
    }
  /** A text from a client's operator. */
  | { readonly type: "note"; readonly session: SessionIdentity; readonly text: string }
  /** A connection that did not become a session's transport. */
  | {
      readonly type: "refused";
      readonly remoteAddress: string | undefined;
      readonly reason: ErrorCode | number;
      /** What was wrong, for the operator; the client is not told. */
      readonly why?: string;
      /** No credentials were shown where users log in: each login by key begins so, to get its challenge. */
      readonly isUsual?: boolean;
    };

export type ServerEventType = ServerEvent["type"];
export type ServerEventOf<T extends ServerEventType> = Extract<ServerEvent, { readonly type: T }>;
