import { ClientFuzz } from "./client-fuzz.ts";
import { CodecFuzz } from "./codec-fuzz.ts";
import { seeds } from "./corpus.ts";
import type { Fuzz } from "./fuzz.ts";
import { ServerFuzz } from "./server-fuzz.ts";
import { SessionFuzz } from "./session-fuzz.ts";

/** Each with the part of the time that it gets: what is far from the wire is fast, and needs less. */
export const TARGETS: readonly {
  readonly name: string;
  readonly share: number;
  readonly start: (seed: number) => Fuzz | Promise<Fuzz>;
}[] = [
  { name: "codec", share: 1 / 6, start: (seed) => new CodecFuzz(seed, seeds()) },
  { name: "session", share: 1 / 3, start: (seed) => new SessionFuzz(seed, seeds()) },
  { name: "server", share: 1 / 4, start: (seed) => ServerFuzz.start(seed, seeds()) },
  { name: "client", share: 1 / 4, start: (seed) => ClientFuzz.start(seed, seeds()) },
];
