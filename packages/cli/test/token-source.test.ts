import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, test } from "vitest";
import { findToken } from "../src/token-source.ts";
import { sentenceOf, temporaryDirectory, temporaryFile } from "./support.ts";

const TOKEN = "0123456789abcdef0123456789abcdef";
const OTHER = "ffffffffffffffffffffffffffffffff";
const MEND = "make one with: openssl rand -hex 32.";

describe("findToken", () => {
  it("finds none where none is", () => {
    expect(findToken(undefined, {})).toBeUndefined();
  });

  it.each(["", "\n", "\r\n", "\n\n"])("reads a file that ends with %j", (end) => {
    expect(findToken(temporaryFile(`${TOKEN}${end}`), {})).toEqual({ token: TOKEN, source: "--token-file" });
  });

  it("reads the environment", () => {
    expect(findToken(undefined, { CULVERT_TOKEN: `${TOKEN}\n` })).toEqual({
      token: TOKEN,
      source: "CULVERT_TOKEN",
    });
    const file = temporaryFile(TOKEN);
    expect(findToken(undefined, { CULVERT_TOKEN_FILE: file })).toEqual({
      token: TOKEN,
      source: "CULVERT_TOKEN_FILE",
    });
  });

  it("takes the flag before the environment, whatever that holds", () => {
    const file = temporaryFile(TOKEN);
    expect(findToken(file, { CULVERT_TOKEN: OTHER })?.token).toBe(TOKEN);
    expect(findToken(file, { CULVERT_TOKEN: "", CULVERT_TOKEN_FILE: "/nowhere" })?.token).toBe(TOKEN);
  });

  it("follows a link, as container platforms make them", () => {
    const link = join(temporaryDirectory(), "link");
    symlinkSync(temporaryFile(TOKEN), link);
    expect(findToken(link, {})?.token).toBe(TOKEN);
  });

  it.each([
    ["", `CULVERT_TOKEN is empty; ${MEND}`],
    ["\n", `CULVERT_TOKEN is empty; ${MEND}`],
    ["short", `CULVERT_TOKEN has 5 characters, at least 16 are needed; ${MEND}`],
    ["fifteen-letters", `CULVERT_TOKEN has 15 characters, at least 16 are needed; ${MEND}`],
    ["x".repeat(1025), `CULVERT_TOKEN is longer than 1024 characters; ${MEND}`],
    [
      "0123456789 abcdef",
      `CULVERT_TOKEN has a space, a line break or a character beyond ASCII in it; ${MEND}`,
    ],
    [
      "0123456789äbcdef",
      `CULVERT_TOKEN has a space, a line break or a character beyond ASCII in it; ${MEND}`,
    ],
  ])("refuses the variable %j", (token, sentence) => {
    expect(sentenceOf(() => findToken(undefined, { CULVERT_TOKEN: token }))).toBe(sentence);
  });

  it("refuses both variables at once", () => {
    expect(sentenceOf(() => findToken(undefined, { CULVERT_TOKEN: TOKEN, CULVERT_TOKEN_FILE: "f" }))).toBe(
      "CULVERT_TOKEN and CULVERT_TOKEN_FILE are both set: unset one of them.",
    );
  });

  test("T5: a token where the name of a file belongs is not shown", () => {
    for (const token of [
      TOKEN,
      `culvert_k3v9q2m1_${"aB-_".repeat(10)}xyz`,
      "-----BEGIN PRIVATE KEY-----\nMC4CAQ",
    ]) {
      for (const find of [
        () => findToken(token, {}),
        () => findToken(undefined, { CULVERT_TOKEN_FILE: token }),
      ]) {
        const sentence = sentenceOf(find);
        expect(sentence).toMatch(/got what looks like the secret itself/);
        expect(sentence).not.toContain(token);
      }
    }
    expect(sentenceOf(() => findToken("/nowhere/token", {}))).toMatch(/there is no such file/);
  });

  it("refuses an empty name of a file", () => {
    expect(sentenceOf(() => findToken("", {}))).toBe(
      "--token-file is empty: name a file that holds the token.",
    );
    expect(sentenceOf(() => findToken(undefined, { CULVERT_TOKEN_FILE: "" }))).toBe(
      "CULVERT_TOKEN_FILE is empty: name a file that holds the token.",
    );
  });

  it.each([
    ["", `the token in the file of --token-file is empty; ${MEND}`],
    ["\n\n", `the token in the file of --token-file is empty; ${MEND}`],
    ["short\n", `the token in the file of --token-file has 5 characters, at least 16 are needed; ${MEND}`],
    [
      `${TOKEN}\n${OTHER}\n`,
      `the token in the file of --token-file has a space, a line break or a character beyond ASCII in it; ${MEND}`,
    ],
  ])("refuses a file that holds %j", (content, sentence) => {
    expect(sentenceOf(() => findToken(temporaryFile(content), {}))).toBe(sentence);
  });

  it.each([
    [0o640, "640"],
    [0o604, "604"],
    [0o644, "644"],
    [0o660, "660"],
    [0o602, "602"],
  ])("refuses a file of mode %o", (mode, shown) => {
    const file = temporaryFile(TOKEN, mode);
    expect(sentenceOf(() => findToken(file, {}))).toBe(
      `--token-file ${file}: other users may read or change the file (mode ${shown}); run chmod 600 ${file}.`,
    );
    chmodSync(file, 0o400);
    expect(findToken(file, {})?.token).toBe(TOKEN);
  });

  it("refuses what is no regular file, and waits for none of it", () => {
    const directory = temporaryDirectory();
    const fifo = join(directory, "fifo");
    execFileSync("sh", ["-c", 'mkfifo -m 600 "$0"', fifo]);
    mkdirSync(join(directory, "sub"));
    const loop = join(directory, "loop");
    symlinkSync(loop, loop);
    const faults = (path: string): string | undefined => sentenceOf(() => findToken(path, {}));
    const notRegular = "this is not a regular file; name one, a pipe or a device will not do.";
    expect(faults(fifo)).toBe(`--token-file ${fifo}: ${notRegular}`);
    expect(faults("/dev/null")).toBe(`--token-file /dev/null: ${notRegular}`);
    expect(faults(directory)).toBe(`--token-file ${directory}: this is a directory; name a file.`);
    expect(faults(join(directory, "none"))).toBe(
      `--token-file ${join(directory, "none")}: there is no such file.`,
    );
    expect(faults(join(fifo, "none"))).toBe(`--token-file ${join(fifo, "none")}: there is no such file.`);
    expect(faults(loop)).toBe(`--token-file ${loop}: its symbolic links go round in a circle.`);
    const large = join(directory, "large");
    writeFileSync(large, "x".repeat(65_537), { mode: 0o600 });
    expect(faults(large)).toBe(
      `--token-file ${large}: the file is larger than 64 KiB, so it cannot be the right one.`,
    );
  });
});
