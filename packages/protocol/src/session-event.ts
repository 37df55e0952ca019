import type { CulvertError, ErrorCode } from "./errors.ts";
import type { IncomingStream } from "./stream.ts";

/** What the driver takes out of a session after each call. */
export type SessionEvent =
  | { readonly type: "stream"; readonly incoming: IncomingStream }
  | { readonly type: "tunnelOpen"; readonly tunnelId: number; readonly listen: string; readonly name: string }
  | { readonly type: "tunnelClose"; readonly tunnelId: number }
  | { readonly type: "tunnelReady"; readonly tunnelId: number; readonly listen: string }
  | { readonly type: "tunnelClosed"; readonly tunnelId: number; readonly code: ErrorCode }
  | { readonly type: "note"; readonly text: string }
  | { readonly type: "goaway"; readonly code: ErrorCode }
  /** The transport is to be given up; the session is detached already. */
  | { readonly type: "transportFailed"; readonly code: ErrorCode }
  /** The session is over. `farewell` is the last message for the transport, if there is one. */
  | {
      readonly type: "ended";
      readonly error: CulvertError;
      readonly by: "local" | "peer";
      readonly farewell: Uint8Array | undefined;
    };
