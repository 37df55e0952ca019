import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { bytes } from "../../packages/protocol/test/support/hex.ts";
import { readVectors, spelled } from "../../packages/protocol/test/support/vector-file.ts";

const FOLDER = new URL("./corpus/", import.meta.url);

/** An input that is worth keeping: what once went wrong, or reached what nothing else does. See corpus/README.md. */
export type Kept =
  | { readonly target: "codec"; readonly what: string; readonly message: string }
  | { readonly target: "session"; readonly what: string; readonly seed: number; readonly round: number };

/** Everything in the corpus, with the names of the files. */
export function keptInputs(): readonly (readonly [name: string, kept: Kept])[] {
  const names = readdirSync(FOLDER).filter((name) => name.endsWith(".json"));
  return names
    .sort()
    .map((name) => [name, JSON.parse(readFileSync(new URL(name, FOLDER), "utf8")) as Kept] as const);
}

/** Writes an input into the corpus. Returns the name of its file. */
export function keep(name: string, kept: Kept): string {
  writeFileSync(new URL(`${name}.json`, FOLDER), `${JSON.stringify(kept, undefined, 2)}\n`);
  return `${name}.json`;
}

export interface Seeds {
  /** Frames of a session, legal and not. */
  readonly frames: readonly Uint8Array[];
  /** First messages of a transport, legal and not. */
  readonly handshakes: readonly Uint8Array[];
}

/** Larger ones say no more, and slow everything down. */
const MOST_SEED_BYTES = 2048;

/** The messages of the conformance vectors and of the corpus, to begin with. */
export function seeds(): Seeds {
  const { accepted, refused } = readVectors("handshake.json");
  const frames = [...readVectors("frames.json").vectors, ...readVectors("rejects.json").vectors];
  const transcripts = readVectors("transcripts.json").transcripts.flatMap(({ steps }) =>
    steps.flatMap((step) =>
      "message" in step && typeof step.message === "string" ? [bytes(step.message)] : [],
    ),
  );
  const kept = keptInputs().flatMap(([, input]) => (input.target === "codec" ? [bytes(input.message)] : []));
  const isSmall = (message: Uint8Array): boolean => message.length <= MOST_SEED_BYTES;
  return {
    frames: [...frames.map(({ message }) => spelled(message)), ...transcripts, ...kept].filter(isSmall),
    handshakes: [...accepted, ...refused].map(({ message }) => spelled(message)).filter(isSmall),
  };
}
