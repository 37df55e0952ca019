/**
 * Notices that the machine slept: wall time goes on during a suspend, monotonic time does not (CLOCK_MONOTONIC on
 * Linux). A clock that is set by hand looks the same, and costs one needless ping.
 */
export class SleepWatch {
  readonly #timer: NodeJS.Timeout;
  #wall: number = Date.now();
  #monotonic: number = performance.now();

  constructor(onSlept: (ms: number) => void) {
    this.#timer = setInterval(() => {
      const wall = Date.now();
      const monotonic = performance.now();
      const slept = wall - this.#wall - (monotonic - this.#monotonic);
      this.#wall = wall;
      this.#monotonic = monotonic;
      if (slept > NOTABLE_MS) onSlept(slept);
    }, LOOK_MS);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

const LOOK_MS = 2_000;
const NOTABLE_MS = 5_000;
