import { CulvertError } from "@culvert/protocol";

/**
 * `closed`: not started, or over. `connecting`: there is no session (yet, or any more) and one is being made. `open`: the
 * session is attached. `detached`: its transport is gone, and it can be resumed. `closing`: `close` was called.
 */
export type ClientState = "closed" | "connecting" | "open" | "detached" | "closing";

const MOVES: Readonly<Record<ClientState, readonly ClientState[]>> = {
  closed: ["connecting"],
  connecting: ["open", "closing", "closed"],
  open: ["detached", "connecting", "closing", "closed"],
  detached: ["open", "connecting", "closing", "closed"],
  closing: ["closed"],
};

/** Where a client stands. The one place that changes it. */
export class ClientStateCell {
  #current: ClientState = "closed";
  readonly #onMove: (previous: ClientState, current: ClientState, cause: CulvertError | undefined) => void;

  constructor(
    onMove: (previous: ClientState, current: ClientState, cause: CulvertError | undefined) => void,
  ) {
    this.#onMove = onMove;
  }

  get current(): ClientState {
    return this.#current;
  }

  /** @throws CulvertError `internal_error` for a move that the table does not have. */
  move(next: ClientState, cause?: CulvertError): void {
    const previous = this.#current;
    if (!MOVES[previous].includes(next)) throw new CulvertError("internal_error", `${previous} to ${next}`);
    this.#current = next;
    this.#onMove(previous, next, cause);
  }
}
