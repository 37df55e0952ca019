/** What everybody may have, however much the others do. */
const OWN_PART = 16;

/**
 * A number of places for all who share them. Each has at most a portion of what the others leave, so that a few who take all
 * that they can get leave places to everybody else: with a quarter, four of them leave a third.
 */
export class FairRoom {
  readonly #capacity: number;
  readonly #portion: number;
  #inside = 0;

  /** @param portion Up to 1, which is no bound for one alone. */
  constructor(capacity: number, portion: number) {
    this.#capacity = capacity;
    this.#portion = portion;
  }

  /** For one of those who share it. */
  share(): RoomShare {
    let own = 0;
    return {
      enter: () => {
        const toUs = this.#capacity - this.#inside + own;
        const isFair = own < OWN_PART || own + 1 <= toUs * this.#portion;
        if (this.#inside >= this.#capacity || !isFair) return false;
        this.#inside += 1;
        own += 1;
        return true;
      },
      leave: () => {
        this.#inside -= 1;
        own -= 1;
      },
    };
  }
}

/** The places of one of those who share a room. */
export interface RoomShare {
  /** False when there is none left for this one; otherwise call `leave` once when the place is free again. */
  enter(): boolean;
  leave(): void;
}
