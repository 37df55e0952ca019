import type { CulvertError, ErrorCode } from "@culvert/protocol";

/** Of which session an event speaks. */
export interface SessionIdentity {
  readonly id: string;
  /** Who authenticated. */
  readonly owner: string;
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
    };

export type ServerEventType = ServerEvent["type"];
export type ServerEventOf<T extends ServerEventType> = Extract<ServerEvent, { readonly type: T }>;
type Listener = (event: ServerEvent) => void;

/** Hands events to who asked for their type. */
export class ServerEvents {
  readonly #listeners = new Map<ServerEventType, Set<Listener>>();

  /** Returns what takes the listener off again. */
  on<T extends ServerEventType>(type: T, listener: (event: ServerEventOf<T>) => void): () => void {
    // A wrapper of its own, so that the same function put on twice is called twice and taken off once.
    const entry: Listener = (event) => listener(event as ServerEventOf<T>);
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(entry));
    return () => void listeners.delete(entry);
  }

  emit(event: ServerEvent): void {
    for (const listener of [...(this.#listeners.get(event.type) ?? [])]) {
      try {
        listener(event);
      } catch (error) {
        // Its bug must be seen, but must not tear what was being done when the event was told.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
