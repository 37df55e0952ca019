import { describe, expect, it } from "vitest";
import { readHeaders } from "../src/header-source.ts";
import { sentenceOf, temporaryFile } from "./support.ts";

describe("readHeaders", () => {
  it("reads names and values", () => {
    expect(readHeaders([])).toEqual({});
    expect(readHeaders(["X-Route: blue", "X-Empty:", "x-url: http://a:1/?b=c"])).toEqual({
      "X-Route": "blue",
      "X-Empty": "",
      "x-url": "http://a:1/?b=c",
    });
  });

  it("reads lines of a file that only its owner may read", () => {
    const file = temporaryFile("# for the gateway\nCookie: a=b\r\n\nX-Route: blue\n");
    expect(readHeaders([`@${file}`, "X-More: 1"])).toEqual({
      Cookie: "a=b",
      "X-Route": "blue",
      "X-More": "1",
    });
    const open = temporaryFile("Cookie: a=b", 0o644);
    expect(sentenceOf(() => readHeaders([`@${open}`]))).toBe(
      `--header ${open}: other users may read or change the file (mode 644); run chmod 600 ${open}.`,
    );
  });

  it.each([
    [["X-Route"], "--header is not a header: write 'Name: value', with a colon after the name."],
    [[": blue"], "--header is not a header: write 'Name: value', with a colon after the name."],
    [[""], "--header is not a header: write 'Name: value', with a colon after the name."],
    [
      ["X Route: blue"],
      '--header: "X Route" cannot be the name of a header; use letters, digits and hyphens.',
    ],
    [["X-Route: a\r\nHost: b"], "--header: the value of X-Route has characters that HTTP does not allow."],
    [["X-Route: a\u0000"], "--header: the value of X-Route has characters that HTTP does not allow."],
    [["X-Route: a", "x-route: b"], "--header sets x-route twice: remove one of them."],
    [["@"], "--header @ names no file: write @ and the path of a file, as in --header @headers.txt."],
    [["@/nowhere/x"], "--header /nowhere/x: there is no such file."],
  ])("refuses %j, and does not repeat a value", (values, sentence) => {
    expect(sentenceOf(() => readHeaders(values))).toBe(sentence);
  });

  it("does not repeat what stands in a file", () => {
    const file = temporaryFile("secret-without-colon\n");
    expect(sentenceOf(() => readHeaders([`@${file}`]))).toBe(
      `a line of the file of --header @${file} is not a header: write 'Name: value', with a colon after the name.`,
    );
  });
});
