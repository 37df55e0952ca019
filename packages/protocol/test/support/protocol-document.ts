import { readFileSync } from "node:fs";

/** The tables of docs/protocol.md, for tests that hold code and document against each other. */

const LINES = readFileSync(new URL("../../../../docs/protocol.md", import.meta.url), "utf8").split("\n");

/** The rows of the table that has exactly these column names, cells trimmed. */
function table(...columns: string[]): string[][] {
  const header = `| ${columns.join(" | ")} |`;
  const start = LINES.indexOf(header);
  if (start < 0) throw new Error(`docs/protocol.md has no table with the columns ${columns.join(", ")}`);
  const rows: string[][] = [];
  for (const line of LINES.slice(start + 2)) {
    if (!line.startsWith("|")) break;
    rows.push(
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  }
  return rows;
}

export interface DocumentedCode {
  readonly name: string;
  readonly wire: number;
  readonly close: number;
  readonly retryable: boolean;
  readonly sentence: string;
}

/** Section 15. */
export function documentedCodes(): DocumentedCode[] {
  return table("name", "number", "close code", "retryable", "meaning").map(
    ([name = "", wire, close, retryable, sentence = ""]) => ({
      name: name.replaceAll("`", ""),
      wire: Number(wire),
      close: Number(close),
      retryable: retryable === "yes",
      sentence,
    }),
  );
}

/** Section 15, the second table. */
export function documentedCloseCodes(): number[] {
  return table("close code", "means").map(([close]) => Number(close));
}

/** Section 3.2: type byte by name. */
export function documentedTypes(): Map<string, number> {
  return new Map(
    table("type", "frame", "class", "length", "may come").map(([type, name = ""]) => [name, Number(type)]),
  );
}
