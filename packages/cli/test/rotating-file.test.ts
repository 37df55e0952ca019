import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { RotatingFile } from "../src/rotating-file.ts";
import { temporaryDirectory } from "./support.ts";

describe("RotatingFile", () => {
  it("appends, and begins anew at its size, keeping one older file", () => {
    const path = join(temporaryDirectory(), "log");
    writeFileSync(path, "old\n");
    const file = new RotatingFile(path, 10);
    const write = (text: string): void => file.write(text, (error) => expect(error).toBeUndefined());
    write("12345\n");
    expect(readFileSync(path, "utf8")).toBe("old\n12345\n");
    write("a\n");
    expect(readFileSync(path, "utf8")).toBe("a\n");
    expect(readFileSync(`${path}.1`, "utf8")).toBe("old\n12345\n");
    write("12345678901234567890\n");
    write("b\n");
    expect(readFileSync(path, "utf8")).toBe("b\n");
    expect(readFileSync(`${path}.1`, "utf8")).toBe("12345678901234567890\n");
    expect(existsSync(`${path}.2`)).toBe(false);
    expect(statSync(path).mode & 0o007).toBe(0);
  });

  it("reports what the file system says, and goes on", () => {
    expect(() => new RotatingFile(temporaryDirectory(), 10)).toThrow(/EISDIR/);
    const full = new RotatingFile(join(temporaryDirectory(), "log"), 10);
    expect(full.queuedBytes).toBe(0);
    expect(() => new RotatingFile("/dev/full", 10)).toThrow("not a regular file");
  });
});
