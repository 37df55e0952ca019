import { safeText, withEscapes } from "@culvert/peer";
import type { Outlet } from "./outlet.ts";

/**
 * Something that became ready. Told on stdout as one line each, for people and for scripts: the lines are part of the
 * interface, are listed in docs/cli.md and do not change.
 */
export type Ready =
  | {
      readonly ready: "server";
      readonly url: string;
      /** How clients are authenticated, and what they may do; in words. */
      readonly auth: string;
      readonly allowed: string;
    }
  | { readonly ready: "client"; readonly server: string }
  | {
      readonly ready: "tunnel";
      readonly side: "local" | "remote";
      readonly listen: string;
      readonly target: string;
    };

/** Room for the longest URL and the longest endpoints, so that nothing that scripts read is cut. */
const MAX_SENTENCE_BYTES = 8192;

/** Writes a line for each thing that becomes ready. */
export class ReadyLines {
  readonly #outlet: Outlet;
  readonly #asJson: boolean;

  constructor(outlet: Outlet, asJson: boolean) {
    this.#outlet = outlet;
    this.#asJson = asJson;
  }

  tell(ready: Ready): void {
    // In JSON the escapes are its own, and a program reads what was meant.
    const line = this.#asJson
      ? withEscapes(JSON.stringify(ready))
      : safeText(sentenceOf(ready), MAX_SENTENCE_BYTES);
    this.#outlet.write(`${line}\n`);
  }
}

function sentenceOf(ready: Ready): string {
  switch (ready.ready) {
    case "server":
      return `culvert server listening on ${ready.url}`;
    case "client":
      return `culvert client connected to ${ready.server}`;
    case "tunnel":
      return `tunnel ${ready.side} ${ready.listen} -> ${ready.target} ready`;
  }
}
