/** What a log line carries besides its message; never payloads, tokens or query strings. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Data in `fields`, a constant message: so lines can be counted and found by their message. */
export type LogMethod = (fields: LogFields, message: string) => void;

/**
 * Where log lines go, in pino's call shape: a pino logger is one. The caller owns it; nothing here flushes or closes it.
 * A method must not throw.
 */
export interface Logger {
  readonly trace: LogMethod;
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
  /** A logger whose lines all carry `bindings`: session, then tunnel, then stream. */
  child(bindings: LogFields): Logger;
}

/** Drops everything: a library says nothing unless it was given a logger. */
export const silentLogger: Logger = Object.freeze({
  trace: drop,
  debug: drop,
  info: drop,
  warn: drop,
  error: drop,
  child: () => silentLogger,
});

function drop(): void {}
