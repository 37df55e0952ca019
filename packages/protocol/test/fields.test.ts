import { describe, expect, test } from "vitest";
import { ProtocolError } from "../src/errors.ts";
import { decodeFields, encodeFields, FIELD } from "../src/fields.ts";
import { bytes, hex } from "./support/hex.ts";

describe("fields", () => {
  test("are tag, length and value; numbers are u32; what has no value is left out", () => {
    const encoded = encodeFields(0, [
      [FIELD.tunnelId, 0xffff_fffe],
      [FIELD.target, undefined],
      [FIELD.visitor, ""],
      [FIELD.host, "é"],
    ]);
    expect(hex(encoded)).toBe(hex(bytes("01 0004 fffffffe 03 0000 04 0002 c3a9")));
    const fields = decodeFields(encoded);
    expect(fields.number(FIELD.tunnelId)).toBe(0xffff_fffe);
    expect(fields.get(FIELD.target)).toBeUndefined();
    expect(fields.get(FIELD.visitor)).toBe("");
    expect(fields.get(FIELD.host)).toBe("é");
  });

  test("no fields are no bytes", () => {
    expect(encodeFields(0, [])).toHaveLength(0);
    expect(decodeFields(new Uint8Array(0)).number(FIELD.tunnelId)).toBeUndefined();
  });

  test("tags that a reader does not ask for are not looked at", () => {
    const fields = decodeFields(bytes("02 0001 ff 07 0002 0000 ff 0000"));
    expect(fields.get(FIELD.host)).toBeUndefined();
    expect(() => fields.get(FIELD.target)).toThrow(ProtocolError);
  });

  test.each(["02", "02 00", "02 0001", "02 ffff 00", "02 0000 02 0000", "03 0000 02 0000", "00 0000"])(
    "%s is malformed",
    (literal) => {
      expect(() => decodeFields(bytes(literal))).toThrow(expect.objectContaining({ code: "bad_frame" }));
    },
  );
});
