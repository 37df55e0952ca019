/** A wall clock that can be set, as an administrator or a time server does it. Monotonic time goes on as it was. */
const SystemDate = Date;
let shiftMs = 0;

class ShiftedDate extends SystemDate {
  constructor(...given: unknown[]) {
    if (given.length === 0) super(ShiftedDate.now());
    else super(...(given as [number]));
  }

  static override now(): number {
    return SystemDate.now() + shiftMs;
  }
}

globalThis.Date = ShiftedDate as DateConstructor;

/** From now on the wall clock shows so much more, or less, than it did. Returns by how much it jumped, as anybody sees it. */
export function shiftClock(ms: number): number {
  const before = Date.now();
  shiftMs += ms;
  return Date.now() - before;
}
