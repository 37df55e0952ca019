import { PassThrough } from "node:stream";
import { describe, expect, it, test } from "vitest";
import { readSecretLine } from "../src/secret-line.ts";
import { UsageError } from "../src/usage-error.ts";

/** A terminal that somebody types at. */
class Terminal extends PassThrough {
  readonly isTTY = true;
  readonly modes: boolean[] = [];
  shown = "";

  setRawMode(isRaw: boolean): this {
    this.modes.push(isRaw);
    return this;
  }

  readonly ask = (text: string): void => {
    this.shown += text;
  };
}

async function typed(keys: string): Promise<{ terminal: Terminal; line: Promise<string> }> {
  const terminal = new Terminal();
  const line = readSecretLine({ stdin: terminal, ask: terminal.ask }, "the token");
  line.catch(() => undefined);
  terminal.write(keys);
  return { terminal, line };
}

describe("readSecretLine", () => {
  test("T5: asks a person, and shows nothing of what is typed", async () => {
    const { terminal, line } = await typed("canary\u007f\u007fry\r");
    expect(await line).toBe("canary");
    expect(terminal.shown).toBe("the token: \n");
    // Out of the mode that shows what is typed, and back.
    expect([terminal.modes[0], terminal.modes.at(-1)]).toEqual([true, false]);
  });

  it.each(["\u0003", "\u0004", "\r"])("ends without one at %j", async (keys) => {
    const { terminal, line } = await typed(keys);
    await expect(line).rejects.toThrow(UsageError);
    await expect(line).rejects.toThrow(/^the token (was not given|is missing)/);
    expect(terminal.modes.at(-1)).toBe(false);
  });
});
