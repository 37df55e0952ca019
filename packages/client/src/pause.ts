/** Resolves after `ms`, or as soon as one of the signals aborts; never rejects. */
export function pause(ms: number, ...signals: readonly AbortSignal[]): Promise<void> {
  if (ms <= 0 || signals.some(({ aborted }) => aborted)) return Promise.resolve();
  return new Promise((resolve) => {
    // Not AbortSignal.any: what it makes hangs on to signals that live as long as the client.
    const finish = (): void => {
      clearTimeout(timer);
      for (const signal of signals) signal.removeEventListener("abort", finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    for (const signal of signals) signal.addEventListener("abort", finish);
  });
}
