import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { JsonReader, parseBoundedJson } from "../src/bounded-json.ts";
import { ProtocolError } from "../src/errors.ts";
import { bytes, concat } from "./support/hex.ts";
import { holds } from "./support/property.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);
const parse = (text: string) => parseBoundedJson(utf8(text));
const nested = (depth: number) => `${'{"a":'.repeat(depth)}0${"}".repeat(depth)}`;
const refused = expect.objectContaining({ code: "bad_handshake" });

describe("parseBoundedJson", () => {
  test("gives what JSON.parse gives, within the bounds", () => {
    for (const text of [
      "{}",
      ' { "a" : [ 1, 2.5e3, true, null, {"b":"c"} ] } ',
      '{"a":"{[,:\\"]}","\\u0062":"\\\\"}',
      '{"":""}',
      '{"a":"x:y","b":["k",":",1]}',
    ]) {
      expect(parse(text)).toEqual(JSON.parse(text));
    }
  });

  test.each([
    ["nothing", ""],
    ["blanks", "  "],
    ["an array", "[]"],
    ["a string", '"a"'],
    ["a number", "1"],
    ["null", "null"],
    ["cut short", '{"a":1'],
    ["an open string", '{"a'],
    ["an open string that ends in a backslash", '{"a\\'],
    ["trailing bytes", "{}x"],
    ["two objects", "{}{}"],
    ["a trailing comma", '{"a":1,}'],
    ["single quotes", "{'a':1}"],
    ["a comment", "{}//"],
    ["NaN", '{"a":NaN}'],
    ["a raw control character in a string", '{"a":"\n"}'],
    ["a bad escape in a key", '{"\\x":1}'],
    ["a byte order mark", "\ufeff{}"],
    ["a NUL behind it", "{}\0"],
    ["wrong brackets", '{"a":[}]'],
    ["a key in an array", '["a":1]'],
    ["more closed than opened", "}{"],
  ])("refuses %s", (_, text) => {
    expect(() => parse(text)).toThrow(refused);
  });

  test.each(["ff", "7b22c3227d", "7b22eda0807d", "c07b7d", "7b7d80"])(
    "refuses bytes %s that are not UTF-8",
    (h) => {
      expect(() => parseBoundedJson(bytes(h))).toThrow(refused);
    },
  );

  test("takes a depth of 8 and refuses 9, for objects and arrays alike", () => {
    expect(parse(nested(8))).toEqual(JSON.parse(nested(8)));
    expect(() => parse(nested(9))).toThrow(refused);
    expect(parse(`{"a":${"[".repeat(7)}${"]".repeat(7)}}`)).toBeDefined();
    expect(() => parse(`{"a":${"[".repeat(8)}${"]".repeat(8)}}`)).toThrow(refused);
    expect(parse(`{"a":"${"[{".repeat(100)}"}`)).toBeDefined();
  });

  test("counts depth and not brackets: what is closed again is no depth", () => {
    const wide = `{"a":[${Array(60).fill('{"b":[]}').join(",")}],"c":{}}`;
    expect(parse(wide)).toEqual(JSON.parse(wide));
  });

  test("takes 256 separators and refuses 257", () => {
    const list = (n: number) => `{"a":[${Array(n).fill(0).join(",")}]}`;
    expect(parse(list(256))).toBeDefined(); // one colon and 255 commas
    expect(() => parse(list(257))).toThrow(refused);
    expect(parse(`{"a":"${",:".repeat(500)}"}`)).toBeDefined();
  });

  test.each([
    '{"a":1,"a":1}',
    '{"a":1,"\\u0061":2}',
    '{"a":{"b":1,"c":2,"b":3}}',
    '{"a":[{"b":1 , "b" : 2}]}',
    '{"a":1,"b":{"a":1},"a":2}',
    '{"\\u00e9":1,"é":2}',
  ])("refuses %s, where a key stands twice", (text) => {
    expect(() => parse(text)).toThrow(refused);
  });

  test("takes the same key in different objects, and a value that equals a key", () => {
    expect(parse('{"a":{"a":{"a":"a"}},"b":[{"a":1},{"a":1}],"c":["a","a"]}')).toBeDefined();
  });

  test.each(["__proto__", "constructor", "prototype", "__pr\\u006fto__"])(
    "refuses the key %s at any depth",
    (key) => {
      for (const text of [`{"${key}":{"admin":true}}`, `{"x":{"${key}":1}}`, `{"x":[{"${key}" :1}]}`]) {
        expect(() => parse(text)).toThrow(refused);
      }
      expect(({} as Record<string, unknown>).admin).toBeUndefined();
      expect(parse(`{"x":"${key}"}`)).toBeDefined();
    },
  );

  test("refuses a hundred thousand nested arrays after the ninth, not after building them", () => {
    // What follows the ninth bracket is no JSON at all, so only who stops there gives this reason.
    const text = `{"a":${"[".repeat(9)}${"[".repeat(100_000)}`;
    expect(() => parse(text)).toThrow(/nested deeper than 8/);
    expect(() => parse("[".repeat(100_000))).toThrow(/nested deeper than 8/);
    expect(() => parse(`{"a":[${"0,".repeat(100_000)}`)).toThrow(/more than 256 entries/);
  });

  test("looks at each character a bounded number of times, whatever it is made of", () => {
    // Half a megabyte of what could make a careless scanner quadratic; the test's own time limit is the judge.
    for (const piece of ['"', '\\"', '"" ', '""', " ", "\\", '"a":']) {
      expect(() => parse(`{${piece.repeat(500_000 / piece.length)}`)).toThrow(refused);
    }
  });

  test("any bytes give an object or a ProtocolError, and an object is what JSON.parse says", () => {
    const piece = fc.constantFrom(
      ...'{}[]:," \\\t\n',
      "a",
      "1",
      "-0",
      "1e400",
      "true",
      '"a"',
      '"b"',
      "\\u0061",
    );
    const text = fc.oneof(
      fc.array(piece, { maxLength: 40 }).map((p) => p.join("")),
      fc.json({ maxDepth: 10 }),
      fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })).map((o) => JSON.stringify(o)),
    );
    holds(
      fc.property(fc.oneof(text.map(utf8), fc.uint8Array()), (data) => {
        try {
          const value = parseBoundedJson(data);
          expect(value).toEqual(JSON.parse(new TextDecoder("utf-8", { ignoreBOM: true }).decode(data)));
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError);
        }
      }),
      3_000,
    );
  });

  test("reports the code that the caller asked for", () => {
    expect(() => parseBoundedJson(utf8("x"), "bad_frame")).toThrow(
      expect.objectContaining({ code: "bad_frame" }),
    );
  });

  test("reads a view without what lies around it", () => {
    const all = concat([utf8("xx"), utf8('{"a":1}'), utf8("yy")]);
    expect(parseBoundedJson(all.subarray(2, 9))).toEqual({ a: 1 });
  });
});

describe("JsonReader", () => {
  const reader = (text: string) => new JsonReader(parse(text), "bad_handshake");

  test.each([
    ['{"n":0}', 0],
    ['{"n":10}', 10],
    ['{"n":1e1}', 10],
    ['{"n":3.0}', 3],
  ])("integer takes %s", (text, value) => {
    expect(reader(text).integer("n", 0, 10)).toBe(value);
  });

  test.each([
    "{}",
    '{"n":11}',
    '{"n":-1}',
    '{"n":-0}',
    '{"n":0.5}',
    '{"n":1e400}',
    '{"n":-1e400}',
    '{"n":9007199254740993}',
    '{"n":"5"}',
    '{"n":null}',
    '{"n":true}',
    '{"n":[5]}',
    '{"n":{}}',
  ])("integer refuses %s and names the key", (text) => {
    expect(() => reader(text).integer("n", 0, 10)).toThrow('"n" must be an integer from 0 to 10');
  });

  test("string counts UTF-16 units, both bounds included", () => {
    expect(reader('{"s":"abc"}').string("s", 3, 3)).toBe("abc");
    expect(reader('{"s":"😀"}').string("s", 2, 2)).toBe("😀");
    expect(reader('{"s":""}').string("s", 0, 3)).toBe("");
    for (const text of ['{"s":"abcd"}', '{"s":"ab"}', '{"s":3}', '{"s":null}', '{"s":["abc"]}', "{}"]) {
      expect(() => reader(text).string("s", 3, 3)).toThrow('"s" must be a string of 3 to 3 characters');
    }
  });

  test.each(["\\u0000", "\\n", "\\r", "\\t", "\\u001b]0;x", "\\u007f", "\\u0085", "\\u2028", "\\u2029"])(
    "string refuses the control character %s",
    (escaped) => {
      expect(() => reader(`{"s":"a${escaped}"}`).string("s", 0, 50)).toThrow("without control characters");
    },
  );

  test.each(["\\u200e", "\\u200f", "\\u202a", "\\u202e", "\\u2066", "\\u2069"])(
    "string refuses the bidi control %s",
    (escaped) => {
      expect(() => reader(`{"s":"a${escaped}"}`).string("s", 0, 50)).toThrow("without control characters");
    },
  );

  test("matching wants the whole string to match", () => {
    const pattern = /^[0-9a-f]{4}$/;
    expect(reader('{"s":"00ff"}').matching("s", pattern)).toBe("00ff");
    for (const text of ['{"s":"00fff"}', '{"s":"00ff\\n"}', '{"s":"00FF"}', '{"s":4}', "{}"]) {
      expect(() => reader(text).matching("s", pattern)).toThrow('"s" must be');
    }
  });

  test("objects are read in depth, and errors say the whole path", () => {
    const r = reader('{"a":{"b":{"n":1}},"x":null,"y":[]}');
    expect(r.object("a").object("b").integer("n", 0, 1)).toBe(1);
    expect(() => r.object("a").object("b").integer("m", 0, 1)).toThrow('"a.b.m" must be');
    for (const key of ["x", "y", "z"]) expect(() => r.object(key)).toThrow(`"${key}" must be an object`);
    expect(r.optionalObject("z")).toBeUndefined();
    expect(() => r.optionalObject("x")).toThrow('"x" must be an object');
  });

  test("inherited properties are not there", () => {
    const r = reader("{}");
    for (const key of ["toString", "hasOwnProperty", "__proto__", "constructor"]) {
      expect(r.has(key)).toBe(false);
      expect(() => r.object(key)).toThrow("must be an object");
      expect(() => r.string(key, 0, 100)).toThrow("must be a string");
    }
  });
});
