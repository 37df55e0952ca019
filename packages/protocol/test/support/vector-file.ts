import { readFileSync } from "node:fs";
import { bytes, concat } from "./hex.ts";

/** What packages/protocol/vectors/README.md describes. */

export type VectorBytes = string | readonly VectorPart[];
type VectorPart = { readonly hex?: string; readonly text?: string; readonly times?: number };

export interface FrameVector {
  readonly name: string;
  readonly message: VectorBytes;
  readonly canonical: boolean;
  readonly frame: Readonly<Record<string, unknown>> & { readonly type: string };
}

interface RejectVector {
  readonly name: string;
  readonly message: VectorBytes;
  readonly code: string;
}

interface HandshakeVector {
  readonly name: string;
  readonly message: VectorBytes;
  readonly type: "HELLO" | "WELCOME" | "REJECT";
  readonly value: object;
}

interface ProofVector {
  readonly name: string;
  readonly secret: string;
  readonly session: string;
  readonly attempt: number;
  readonly received: number;
  readonly input: string;
  readonly proof: string;
}

export type Side = "client" | "server";

export type TranscriptStep =
  | {
      readonly step: "attach";
      readonly transport: number;
      readonly clientReceived: number;
      readonly serverReceived: number;
      readonly only?: Side;
    }
  | { readonly step: "detach"; readonly side: Side }
  | {
      readonly step: "act";
      readonly side: Side;
      readonly action: string;
      readonly stream?: number;
      readonly tunnel?: number;
      readonly bytes?: string;
      readonly code?: string;
      readonly target?: string;
      readonly visitor?: string;
      readonly listen?: string;
      readonly name?: string;
    }
  | {
      readonly step: "send";
      readonly from: Side;
      readonly transport: number;
      readonly message: string;
      readonly says: string;
      readonly arrives: boolean;
    }
  | {
      readonly step: "ack";
      readonly from: Side;
      readonly transport: number;
      readonly message: string;
      readonly sequence: number;
      readonly arrives: boolean;
    }
  | { readonly step: "late"; readonly to: Side; readonly transport: number; readonly message: string }
  | { readonly step: "hear"; readonly side: Side; readonly event: string; readonly [key: string]: unknown }
  | { readonly step: "ended"; readonly side: Side; readonly code: string; readonly close: string | null };

export interface Transcript {
  readonly name: string;
  readonly what: string;
  readonly subjects: readonly Side[];
  readonly steps: readonly TranscriptStep[];
}

interface VectorFiles {
  "frames.json": { readonly vectors: readonly FrameVector[] };
  "rejects.json": { readonly vectors: readonly RejectVector[] };
  "handshake.json": {
    readonly accepted: readonly HandshakeVector[];
    readonly refused: readonly RejectVector[];
  };
  "proof.json": { readonly vectors: readonly ProofVector[] };
  "transcripts.json": {
    readonly limits: Readonly<Record<string, number>>;
    readonly transcripts: readonly Transcript[];
  };
}

export function readVectors<F extends keyof VectorFiles>(file: F): VectorFiles[F] {
  return JSON.parse(
    readFileSync(new URL(`../../vectors/${file}`, import.meta.url), "utf8"),
  ) as VectorFiles[F];
}

/** The bytes that a vector spells. */
export function spelled(message: VectorBytes): Uint8Array {
  if (typeof message === "string") return bytes(message);
  return concat(
    message.map(({ hex, text, times = 1 }) => {
      const once = text === undefined ? bytes(hex ?? "") : new TextEncoder().encode(text);
      const all = new Uint8Array(once.length * times);
      for (let i = 0; i < times; i += 1) all.set(once, i * once.length);
      return all;
    }),
  );
}
