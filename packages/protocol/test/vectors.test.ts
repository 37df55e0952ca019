import { createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import { isErrorCode, ProtocolError } from "../src/errors.ts";
import { decodeFrame, type Frame, isSequenced } from "../src/frame.ts";
import { decodeHandshake, proofInput } from "../src/handshake.ts";
import type { SessionLimits } from "../src/limits.ts";
import { encodeFrame, type SendableFrame } from "./support/arbitrary-frame.ts";
import { hex } from "./support/hex.ts";
import { OracleRefusal, oracleDecode, oracleEncode } from "./support/oracle-codec.ts";
import { TranscriptRunner } from "./support/transcript-runner.ts";
import { type FrameVector, readVectors, spelled, type VectorBytes } from "./support/vector-file.ts";

const frames = readVectors("frames.json").vectors;
const rejects = readVectors("rejects.json").vectors;
const handshake = readVectors("handshake.json");
const proofs = readVectors("proof.json").vectors;
const { limits, transcripts } = readVectors("transcripts.json");

/** A frame in the words of the vectors: the names of docs/protocol.md, bytes as hex. */
function inVectorWords(frame: Frame): Record<string, unknown> {
  if (frame.type === "ignored") return { ...frame };
  const type = frame.type.replaceAll(/[A-Z]/g, (c) => `_${c}`).toUpperCase();
  if (frame.type === "data") return { ...frame, type, payload: hex(frame.payload) };
  if (frame.type !== "open") return { ...frame, type };
  const { kind: _, tunnelId, ...rest } = frame.request ?? { kind: "tcp" };
  const { streamId } = frame;
  return { type, streamId, ...rest, ...(tunnelId === undefined ? {} : { tunnel: tunnelId }) };
}

/** What a vector says, in the same words; `kind` aside, which the implementation turns into a request or none. */
function meaning({ frame }: FrameVector): Record<string, unknown> {
  const { kind: _, payload, ...rest } = frame;
  return payload === undefined ? rest : { ...rest, payload: hex(spelled(payload as VectorBytes)) };
}

function code(decode: () => unknown): string | undefined {
  try {
    decode();
  } catch (error) {
    if (error instanceof ProtocolError || error instanceof OracleRefusal) return error.code;
    throw error;
  }
  return undefined;
}

describe("frames.json", () => {
  test.each(frames.map((vector) => [vector.name, vector] as const))("%s", (_, vector) => {
    const message = spelled(vector.message);
    const frame = decodeFrame(message);
    expect(inVectorWords(frame)).toEqual(meaning(vector));
    expect(inVectorWords(oracleDecode(message))).toEqual(meaning(vector));
    if (frame.type === "ignored") expect(isSequenced(message)).toBe(frame.sequenced);
    if (frame.type === "open") expect(frame.request !== undefined).toBe(vector.frame.kind === 1);
    if (!vector.canonical) return;
    expect(hex(encodeFrame(frame as SendableFrame))).toBe(hex(message));
    expect(hex(oracleEncode(frame))).toBe(hex(message));
  });

  test("has every type that can be decoded", () => {
    const types = new Set(frames.map(({ frame }) => frame.type));
    expect([...types].sort()).toEqual(
      "ACCEPT ACK CLOSE DATA END GOAWAY NOTE OPEN PING PONG REFUSE RELEASE RESET TUNNEL_CLOSE TUNNEL_CLOSED TUNNEL_OPEN TUNNEL_READY WINDOW ignored".split(
        " ",
      ),
    );
  });
});

describe("rejects.json", () => {
  test.each(rejects.map((vector) => [vector.name, vector] as const))("%s", (_, vector) => {
    expect(isErrorCode(vector.code)).toBe(true);
    const message = spelled(vector.message);
    expect(code(() => decodeFrame(message))).toBe(vector.code);
    expect(code(() => oracleDecode(message))).toBe(vector.code);
  });
});

describe("handshake.json", () => {
  test.each(handshake.accepted.map((vector) => [vector.name, vector] as const))("%s", (_, vector) => {
    const type = vector.type.toLowerCase();
    expect(decodeHandshake(spelled(vector.message))).toEqual({ type, [type]: vector.value });
  });

  test.each(handshake.refused.map((vector) => [vector.name, vector] as const))("refused: %s", (_, vector) => {
    expect(code(() => decodeHandshake(spelled(vector.message)))).toBe(vector.code);
  });
});

describe("proof.json", () => {
  test.each(proofs.map((vector) => [vector.name, vector] as const))("%s", (_, vector) => {
    const input = proofInput(vector.session, vector.attempt, vector.received);
    expect(hex(input)).toBe(vector.input);
    const key = Buffer.from(vector.secret, "base64url");
    expect(key).toHaveLength(32);
    expect(createHmac("sha256", key).update(input).digest("base64url")).toBe(vector.proof);
  });

  test("the HELLO that resumes in handshake.json carries the first of them", () => {
    const hello = handshake.accepted.find(({ name }) => name === "HELLO that resumes")?.value;
    const { session, attempt, received, proof } = proofs[0] ?? expect.unreachable("no proof");
    expect(hello).toMatchObject({ resume: { session, attempt, received, proof } });
  });
});

describe("transcripts.json", () => {
  const rows = transcripts.flatMap((t) => t.subjects.map((subject) => [t.name, subject, t] as const));
  test.each(rows)("%s, as the %s", (_, subject, transcript) => {
    new TranscriptRunner(subject, limits as unknown as SessionLimits).run(transcript);
  });

  test("what leaves or arrives is a frame, and what is acknowledged is what the ACK says", () => {
    for (const { name, steps } of transcripts) {
      for (const step of steps) {
        if (step.step !== "send" && step.step !== "ack" && step.step !== "late") continue;
        const frame = decodeFrame(spelled(step.message));
        if (step.step === "ack") expect(frame, name).toEqual({ type: "ack", sequence: step.sequence });
      }
    }
  });

  test("a step that goes wrong is noticed", () => {
    const [first] = transcripts;
    if (first === undefined) expect.unreachable("no transcript");
    for (const subject of ["client", "server"] as const) {
      let noticed = 0;
      const own = first.steps.filter((step) => step.step === "send" && step.from === subject);
      for (const step of own) {
        const steps = first.steps.filter((other) => other !== step);
        const run = () =>
          new TranscriptRunner(subject, limits as unknown as SessionLimits).run({ ...first, steps });
        expect(run).toThrow();
        noticed += 1;
      }
      expect(noticed).toBeGreaterThan(0);
    }
  });
});
