/** How far the transfers are. */
export class Progress {
  readonly totalBytes: number;
  readonly startedAt: number = performance.now();
  bytes = 0;
  #waiting: { readonly bytes: number; readonly resolve: () => void }[] = [];

  constructor(totalBytes: number) {
    this.totalBytes = totalBytes;
  }

  readonly add = (count: number): void => {
    this.bytes += count;
    for (const { bytes, resolve } of this.#waiting) if (this.bytes >= bytes) resolve();
    this.#waiting = this.#waiting.filter(({ bytes }) => this.bytes < bytes);
  };

  /** Resolves when this part, from 0 to 1, is done. */
  reaches(part: number): Promise<void> {
    const bytes = part * this.totalBytes;
    if (this.bytes >= bytes) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ bytes, resolve }));
  }

  get part(): number {
    return this.bytes / this.totalBytes;
  }

  get bytesPerSecond(): number {
    return (this.bytes / (performance.now() - this.startedAt)) * 1000;
  }
}
