import type { Logger } from "@culvert/server";

export interface LogLine extends Readonly<Record<string, unknown>> {
  readonly level: string;
  readonly message: string;
}

/** A logger that keeps its lines; those of its children too, with their bindings. */
export class LogRecorder {
  readonly lines: LogLine[] = [];
  readonly logger: Logger = this.#loggerWith({});

  /** The lines with all of these fields; `message` is one. */
  find(fields: Readonly<Record<string, unknown>>): LogLine[] {
    return this.lines.filter((line) => Object.entries(fields).every(([key, value]) => line[key] === value));
  }

  #loggerWith(bindings: Readonly<Record<string, unknown>>): Logger {
    const at = (level: string) => (fields: Readonly<Record<string, unknown>>, message: string) =>
      void this.lines.push({ ...bindings, ...fields, level, message });
    return {
      trace: at("trace"),
      debug: at("debug"),
      info: at("info"),
      warn: at("warn"),
      error: at("error"),
      child: (more) => this.#loggerWith({ ...bindings, ...more }),
    };
  }
}
