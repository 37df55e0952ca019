import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import type { TaskIo } from "./task.ts";
import { UsageError } from "./usage-error.ts";

/** Larger than any token. */
const MAX_BYTES = 64 * 1024;

/**
 * Reads a secret: the first line of stdin; on a terminal it is asked for, and what is typed is not shown.
 *
 * @param what Names it, for the person at the terminal and in errors.
 * @throws UsageError when there is nothing, or too much, or the person gives up.
 */
export async function readSecretLine(
  { stdin, ask }: Pick<TaskIo, "stdin" | "ask">,
  what: string,
): Promise<string> {
  const line = stdin.isTTY === true ? await askFor(stdin, ask, what) : await firstLine(stdin, what);
  if (line === "") throw new UsageError(`${what} is missing: stdin gave nothing.`);
  return line;
}

async function firstLine(stdin: TaskIo["stdin"], what: string): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of stdin as AsyncIterable<Buffer | string>) {
    const part = Buffer.from(chunk);
    parts.push(part);
    length += part.length;
    if (part.includes(0x0a)) break;
    if (length > MAX_BYTES) throw new UsageError(`${what} on stdin is longer than ${MAX_BYTES / 1024} KiB.`);
  }
  const [line = ""] = Buffer.concat(parts).toString("utf8").split("\n", 1);
  return line.replace(/\r$/, "");
}

/** The editor of lines takes the terminal out of its mode that shows what is typed; what it would show itself goes nowhere. */
async function askFor(stdin: TaskIo["stdin"], ask: (prompt: string) => void, what: string): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const editor = createInterface({ input: stdin, output: nowhere, terminal: true, historySize: 0 });
  ask(`${what}: `);
  try {
    return await new Promise<string>((resolve, reject) => {
      editor.once("line", resolve);
      // Ctrl-C is a character in this mode, and ends nothing by itself.
      editor.once("SIGINT", () => reject(new UsageError(`${what} was not given.`)));
      editor.once("close", () => resolve(""));
    });
  } finally {
    editor.close();
    ask("\n");
  }
}
