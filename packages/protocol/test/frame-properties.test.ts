import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ProtocolError } from "../src/errors.ts";
import { decodeFrame, type Frame, isSequenced } from "../src/frame.ts";
import { anyFrame, anyMessage, encodeFrame } from "./support/arbitrary-frame.ts";
import { OracleRefusal, oracleDecode, oracleEncode } from "./support/oracle-codec.ts";
import { holds } from "./support/property.ts";

/** What a decoder makes of a message, as one value that can be compared; payloads as plain arrays. */
function outcome(decode: (message: Uint8Array) => Frame, message: Uint8Array): unknown {
  try {
    const frame = decode(message);
    return frame.type === "data" ? { ...frame, payload: [...frame.payload] } : frame;
  } catch (error) {
    if (error instanceof ProtocolError || error instanceof OracleRefusal) return `refused: ${error.code}`;
    throw error;
  }
}

describe("frames", () => {
  test("decoding what was encoded gives the same frame", () => {
    holds(
      fc.property(anyFrame, (frame) => {
        expect(outcome(decodeFrame, encodeFrame(frame))).toEqual(outcome(() => frame, new Uint8Array()));
      }),
      2_000,
    );
  });

  test("the oracle encodes to the same bytes", () => {
    holds(
      fc.property(anyFrame, (frame) => {
        expect([...encodeFrame(frame)]).toEqual([...oracleEncode(frame)]);
      }),
      2_000,
    );
  });

  test("any bytes give a frame or a ProtocolError, and the oracle says the same", () => {
    holds(
      fc.property(anyMessage, (message) => {
        expect(outcome(decodeFrame, message)).toEqual(outcome(oracleDecode, message));
      }),
      10_000,
    );
  });

  test("every type byte, with each length up to 20, and at the limits of size", () => {
    const lengths = [
      ...Array.from({ length: 20 }, (_, i) => i + 1),
      1025,
      1026,
      16_384,
      16_385,
      65_547,
      65_548,
      131_072,
    ];
    for (let type = 0; type < 256; type += 1) {
      for (const length of lengths) {
        for (const fill of [0x00, 0x01, 0xff]) {
          const message = new Uint8Array(length).fill(fill);
          message[0] = type;
          const expected = outcome(oracleDecode, message);
          // A PING of 20,000 bytes has a wrong length and is too large: either code will do.
          const either = length > 16_384 && expected === "refused: bad_frame";
          expect(outcome(decodeFrame, message), `type ${type}, ${length} bytes of ${fill}`).toEqual(
            either ? expect.stringMatching(/^refused: (bad_frame|frame_too_large)$/) : expected,
          );
        }
      }
    }
  });

  test("decoding does not depend on where in its buffer a message lies, and changes nothing there", () => {
    holds(
      fc.property(anyMessage, fc.nat({ max: 9 }), (message, shift) => {
        const buffer = new Uint8Array(message.length + shift + 5).fill(0xee);
        buffer.set(message, shift);
        const before = [...buffer];
        const view = buffer.subarray(shift, shift + message.length);
        expect(outcome(decodeFrame, view)).toEqual(outcome(decodeFrame, message));
        expect([...buffer]).toEqual(before);
      }),
    );
  });

  test("what is sequenced follows from the type byte", () => {
    for (let type = 0; type < 256; type += 1) {
      expect(isSequenced(Uint8Array.of(type))).toBe(type % 128 < 64);
    }
  });
});
