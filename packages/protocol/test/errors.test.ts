import { describe, expect, test } from "vitest";
import {
  CulvertError,
  codeOfWire,
  ERRORS,
  type ErrorCode,
  isErrorCode,
  ProtocolError,
} from "../src/errors.ts";
import { documentedCloseCodes, documentedCodes } from "./support/protocol-document.ts";

const codes = Object.keys(ERRORS) as ErrorCode[];

describe("the table of codes", () => {
  test("gives each code a wire number of its own, within u16", () => {
    const wires = codes.map((code) => ERRORS[code].wire);
    expect(new Set(wires).size).toBe(codes.length);
    for (const wire of wires) expect(Number.isInteger(wire) && wire >= 0 && wire <= 0xffff).toBe(true);
  });

  test("uses close codes that may be sent: 1000, 1001, 1011 or private use", () => {
    for (const code of codes) {
      const { close } = ERRORS[code];
      expect([1000, 1001, 1011].includes(close) || (close >= 4000 && close <= 4999), code).toBe(true);
    }
  });

  test("closes every violation (64 to 95) with a 44xx code, and calls none of them retryable", () => {
    for (const code of codes) {
      const { wire, close, retryable } = ERRORS[code];
      if (wire < 64 || wire > 95) continue;
      expect(close, code).toBeGreaterThanOrEqual(4400);
      expect(retryable, code).toBe(false);
    }
  });

  test("has a sentence for each code, all different: short, one line, without a full stop", () => {
    const sentences = codes.map((code) => ERRORS[code].sentence);
    expect(new Set(sentences).size).toBe(codes.length);
    for (const sentence of sentences) expect(sentence).toMatch(/^[^\n.]{5,80}$/);
  });

  test("keeps names within what REJECT can carry", () => {
    for (const code of codes) expect(code).toMatch(/^[a-z_]{1,64}$/);
  });

  test("is the one of docs/protocol.md section 15, row by row", () => {
    expect(documentedCodes()).toEqual(codes.map((name) => ({ name, ...ERRORS[name] })));
  });

  test("has no close code that docs/protocol.md does not explain", () => {
    const used = new Set(codes.map((code) => ERRORS[code].close));
    expect(new Set(documentedCloseCodes())).toEqual(used);
  });
});

describe("codeOfWire", () => {
  test("is the inverse of the wire numbers", () => {
    for (const code of codes) expect(codeOfWire(ERRORS[code].wire)).toBe(code);
  });

  test("gives unknown_code for every other number", () => {
    const known = new Set(codes.map((code) => ERRORS[code].wire));
    for (let wire = 0; wire <= 0xffff; wire += 1) {
      if (!known.has(wire)) expect(codeOfWire(wire)).toBe("unknown_code");
    }
  });
});

describe("isErrorCode", () => {
  test("knows the codes and nothing else", () => {
    for (const code of codes) expect(isErrorCode(code)).toBe(true);
    for (const text of ["", "Closed", "closed ", "toString", "__proto__", "constructor", "hasOwnProperty"]) {
      expect(isErrorCode(text), text).toBe(false);
    }
  });
});

describe("CulvertError", () => {
  test("says the fixed sentence, and the detail behind it", () => {
    expect(new CulvertError("displaced").message).toBe(ERRORS.displaced.sentence);
    expect(new CulvertError("displaced", "web").message).toBe(`${ERRORS.displaced.sentence}: web`);
    expect(new CulvertError("displaced", "web").detail).toBe("web");
    expect(new CulvertError("displaced").detail).toBeUndefined();
    expect(new CulvertError("displaced", "").message).toBe(`${ERRORS.displaced.sentence}: `);
  });

  test("keeps code and cause, and knows whether to retry", () => {
    const cause = new Error("inner");
    const error = new CulvertError("connect_failed", undefined, { cause });
    expect(error).toMatchObject({ name: "CulvertError", code: "connect_failed", cause, retryable: true });
    expect(new CulvertError("unauthorized").retryable).toBe(false);
    expect("cause" in new CulvertError("closed")).toBe(false);
  });

  test("a violation is a CulvertError with a name of its own", () => {
    const error = new ProtocolError("bad_frame", "END");
    expect(error).toBeInstanceOf(CulvertError);
    expect(error).toMatchObject({ name: "ProtocolError", code: "bad_frame" });
  });
});
