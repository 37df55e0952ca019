import type { Range } from "@culvert/chaos";

/** What one end of a connection does. Everything that is left out does not happen. */
export interface Script {
  /** How many bytes it says in all. */
  readonly bytes: number;
  /** In pieces of so many. */
  readonly piece: Range;
  /** Waits so long behind each piece. */
  readonly gapMs?: Range;
  /** Waits behind each piece until as many bytes came back. */
  readonly inTurns?: boolean;
  /** Says as much as it hears, instead of `bytes`. */
  readonly echoes?: boolean;
  /** Begins only when the other end has said its last. */
  readonly beginsLast?: boolean;
  /** Ends its direction only when the other end did, otherwise as soon as everything is said. */
  readonly endsLast?: boolean;
  /** In the middle of what it says it is silent for so long. */
  readonly restMs?: number;
  /** Reads no faster than this. */
  readonly readBytesPerSecond?: number;
  /** Resets the connection after so many bytes, said and heard together. */
  readonly resetAfterBytes?: number;
  /** Stops reading, and resets after so long. */
  readonly deafForMs?: number;
  /** A visitor that is gone as soon as it came. */
  readonly leaves?: "reset" | "close";
}

/** Which kind of target a connection is for. */
export type TargetKind = "talking" | "closed" | "rude" | "deaf";

/** What both ends of a connection do. */
export interface Play {
  readonly shape: string;
  readonly target: TargetKind;
  readonly visitor: Script;
  readonly host: Script;
}
