import type { ErrorCode } from "@culvert/protocol";

/** On whose behalf something was done. */
interface BySession {
  /** Id of the session. */
  readonly session: string;
  /** {@link Identity.name} of whoever attached it last. */
  readonly identity: string;
  /** The client's name. */
  readonly client: string;
}

interface Refusal {
  /** Refusals of this kind that were not recorded before this one, because there were too many at once. */
  readonly leftOut?: number;
}

/**
 * What a server did for whom. Texts are cut to 256 bytes, with control characters as escapes: many are a stranger's. Never
 * a payload, a token, a key or a query string.
 */
export type AuditFact =
  /** A transport passed the gate. */
  | {
      readonly type: "login";
      readonly identity: string;
      /** What was shown: `token:ID`, `key:BASE64`, … See {@link Identity.credential}. */
      readonly credential: string;
      readonly remoteAddress: string | undefined;
      readonly userAgent: string | undefined;
    }
  /** A connection did not become a session's transport: refused with that HTTP status, or with that code in the handshake. */
  | (Refusal & {
      readonly type: "login_refused";
      readonly reason: ErrorCode | number;
      /** What was wrong with it. */
      readonly why?: string;
      readonly remoteAddress: string | undefined;
    })
  | (BySession & {
      readonly type: "session";
      readonly what: "begun" | "resumed" | "detached" | "ended";
      readonly credential: string;
      /** Of `detached` and `ended`. */
      readonly cause?: ErrorCode;
    })
  /** A stream of the client was dialed. */
  | (BySession & {
      readonly type: "open";
      readonly stream: number;
      /** As it was asked for. */
      readonly target: string;
      /** The IP address that was dialed; undefined for a Unix socket. */
      readonly address: string | undefined;
      /** The rule that allowed it, by its place; undefined where no rule is needed. */
      readonly rule: string | undefined;
    })
  /** A stream of the client was not, by the policy, by a limit, or because the target did not answer. */
  | (BySession &
      Refusal & {
        readonly type: "open_refused";
        readonly stream: number;
        readonly target: string | undefined;
        /** The IP addresses that the target turned out to have, the first 16 of them. */
        readonly addresses: readonly string[];
        readonly code: ErrorCode;
        readonly reason: string | undefined;
      })
  /** A visitor of a listener was passed on to the client. */
  | (BySession & {
      readonly type: "visit";
      readonly stream: number;
      /** Where the listener is. */
      readonly address: string;
      readonly visitor: string;
    })
  | (BySession &
      Refusal & {
        readonly type: "visit_refused";
        readonly address: string;
        readonly visitor: string;
        readonly code: ErrorCode;
      })
  /** A carried connection is over, after `open` or `visit`. */
  | (BySession & {
      readonly type: "close";
      readonly stream: number;
      readonly durationMs: number;
      /** Bytes read from the target or visitor, and written to it. */
      readonly bytesIn: number;
      readonly bytesOut: number;
      /** Why it was cut off; undefined: both directions ended. */
      readonly code: ErrorCode | undefined;
    })
  | (BySession & {
      readonly type: "listen";
      readonly tunnel: number;
      readonly listen: string;
      /** Where it really listens. */
      readonly address: string;
    })
  | (BySession &
      Refusal & {
        readonly type: "listen_refused";
        readonly tunnel: number;
        readonly listen: string;
        readonly code: ErrorCode;
        readonly reason: string | undefined;
      })
  | (BySession & {
      readonly type: "listen_closed";
      readonly tunnel: number;
      readonly listen: string;
      readonly code: ErrorCode;
    });

/** A fact and when, as ISO 8601 in UTC. */
export type AuditRecord = AuditFact & { readonly time: string };
