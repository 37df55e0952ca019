import { existsSync, globSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { CLIENT_DEFAULTS, RETRY_DEFAULTS, resolveClientOptions } from "@culvert/client";
import {
  CulvertError,
  ERRORS,
  type ErrorCode,
  resolveSessionOptions,
  SESSION_DEFAULTS,
} from "@culvert/protocol";
import { resolveServerOptions, SERVER_DEFAULTS } from "@culvert/server";
import { describe, expect, it } from "vitest";
import { exitCodeOf } from "../../packages/cli/src/exit-codes.ts";

// What the documents say of the code, compared with the code: tables, names of files and messages, links.

const ROOT = join(import.meta.dirname, "../..");
const DOCUMENTS = [
  "*.md",
  "docs/*.md",
  "packages/*/README.md",
  "packages/*/*/README.md",
  "examples/*/README.md",
  "bench/*.md",
  "soak/*.md",
]
  .flatMap((pattern) => globSync(pattern, { cwd: ROOT }))
  .filter((path) => !path.includes("node_modules"));
const SOURCES = globSync("packages/*/src/**/*.ts", { cwd: ROOT });

function read(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** Without code blocks, whose `#` is no heading and whose brackets are no links. */
function proseOf(markdown: string): string {
  return markdown.replace(/^```[\s\S]*?^```/gm, "");
}

/** The part of a document under the heading `title`, up to the next heading of its level. */
function section(path: string, title: string): string {
  const [, rest] = proseOf(read(path)).split(new RegExp(`^## ${title}$`, "m"));
  if (rest === undefined) throw new Error(`${path} has no section "${title}"`);
  return rest.split(/^## /m)[0] as string;
}

/** The rows of all tables in a text, as cells, without heads. */
function rowsOf(markdown: string): string[][] {
  const lines = markdown.split("\n");
  const rows: string[][] = [];
  for (const [index, line] of lines.entries()) {
    const isHead = /^\| ?:?-/.test(lines[index + 1] ?? "") || /^\| ?:?-/.test(line);
    if (!line.startsWith("|") || isHead) continue;
    rows.push(
      line
        .slice(1, -1)
        .split("|")
        .map((cell) => cell.trim()),
    );
  }
  return rows;
}

/** What a cell says between its backticks, or all of it. */
function plain(cell: string | undefined): string {
  return /^`([^`]+)`/.exec(cell ?? "")?.[1] ?? cell ?? "";
}

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  ms: 1,
  s: 1000,
  min: 60_000,
  h: 3_600_000,
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** `2 min` is 120,000; `T` is what docs/options.md says. */
function amountOf(text: string): number {
  if (text === "T") return 2 ** 31 - 1;
  const [, count, unit] = /^(\d+) ?([A-Za-z]*)$/.exec(text) ?? [];
  const factor = UNITS[unit ?? "?"];
  if (count === undefined || factor === undefined) throw new Error(`"${text}" is no number`);
  return Number(count) * factor;
}

/** What the code says of an option when it is given a value that nothing allows. */
function complaint(resolve: () => unknown): string {
  try {
    resolve();
  } catch (error) {
    if (error instanceof CulvertError) return error.message;
    throw error;
  }
  throw new Error("nothing was wrong");
}

/** The smallest and the largest value, as the code's own complaint names them. */
function boundsIn(message: string): number[] {
  const [, min, max] = /from (\d+) to (\d+)/.exec(message) ?? [];
  return [Number(min), Number(max)];
}

function boundsOf(cell: string | undefined): number[] {
  const [, min, max] = /^`([^`]+)` (?:to `([^`]+)`|or more)/.exec(cell ?? "") ?? [];
  if (min === undefined) throw new Error(`"${cell}" has no bounds`);
  return [amountOf(min), max === undefined ? Number.MAX_SAFE_INTEGER : amountOf(max)];
}

/** How a default is written in the tables; numbers are compared by value. */
function expectDefault(cell: string | undefined, value: unknown, name: string): void {
  if (typeof value === "number") expect(amountOf(plain(cell)), name).toBe(value);
  else if (typeof value === "string" || typeof value === "boolean")
    expect(plain(cell), name).toBe(String(value));
  else if (name === "logger") expect(cell, name).toBe("silent");
  else if (value === Math.random) expect(plain(cell), name).toBe("Math.random");
  else expect(cell, name).toBe("none"); // undefined, an empty list, an empty object
}

interface Table {
  readonly title: string;
  readonly defaults: Readonly<Record<string, unknown>>;
  /** What the code says to these options. */
  readonly resolve: (options: Record<string, unknown>) => unknown;
}

const server = "ws://localhost";
const TABLES: readonly Table[] = [
  {
    title: "Server",
    defaults: { ...SERVER_DEFAULTS },
    resolve: (options) => resolveServerOptions(options),
  },
  {
    title: "Client",
    defaults: { ...CLIENT_DEFAULTS },
    resolve: (options) => resolveClientOptions({ server, ...options }),
  },
  {
    title: "Retry",
    defaults: { ...RETRY_DEFAULTS },
    resolve: (retry) => resolveClientOptions({ server, retry }),
  },
  {
    title: "Session",
    defaults: { ...SESSION_DEFAULTS },
    resolve: (options) => resolveSessionOptions(options),
  },
];

describe("docs/options.md", () => {
  it.each(TABLES)("$title: every default", ({ title, defaults }) => {
    const rows = new Map(rowsOf(section("docs/options.md", title)).map((row) => [plain(row[0]), row]));
    for (const [name, value] of Object.entries(defaults)) {
      expect([...rows.keys()], title).toContain(name);
      expectDefault(rows.get(name)?.[1], value, name);
    }
  });

  it.each(TABLES)("$title: every bound", ({ title, resolve }) => {
    let checked = 0;
    for (const [name, , bounds] of rowsOf(section("docs/options.md", title))) {
      const option = plain(name);
      if (!/Ms$|Bytes$|^max[A-Z]|^port$|^factor$/.test(option)) continue;
      expect(boundsOf(bounds), option).toEqual(boundsIn(complaint(() => resolve({ [option]: -1 }))));
      checked += 1;
    }
    expect(checked).toBeGreaterThan(1);
  });

  it("has the options that there are, and no others", () => {
    const named = (title: string): string[] =>
      rowsOf(section("docs/options.md", title)).map(([name]) => plain(name));
    const listed = (options: Record<string, unknown>): string[] => {
      const message = complaint(() => resolveClientOptions({ server, ...options }));
      return message.split("there are: ")[1]?.split(", ") ?? [];
    };
    expect(named("Client").sort()).toEqual(listed({ nothing: 1 }).sort());
    expect(named("Retry").sort()).toEqual(listed({ retry: { nothing: 1 } }).sort());
    expect(named("Tunnel").sort()).toEqual(listed({ tunnels: [{ nothing: 1 }] }).sort());
    expect(named("Server").sort()).toEqual([...Object.keys(SERVER_DEFAULTS), "session"].sort());
    expect(named("Session").sort()).toEqual(Object.keys(SESSION_DEFAULTS).sort());
  });

  it("names flags that docs/cli.md has", () => {
    const flags = read("docs/options.md").match(/--[a-z][a-z-]+/g) ?? [];
    expect(flags.length).toBeGreaterThan(30);
    const known = read("docs/cli.md");
    for (const flag of new Set(flags)) expect(known).toContain(`\`${flag}`);
  });

  it("adds up the memory of a session", () => {
    const {
      replayLimitBytes,
      replayReserveBytes,
      receiveBudgetBytes,
      initialWindowBytes,
      writeHighWaterBytes,
    } = SESSION_DEFAULTS;
    const said = rowsOf(section("docs/options.md", "Memory")).map((row) => row[2]);
    const mib = (bytes: number): string => `${bytes / 2 ** 20} MiB`;
    expect(said[0]).toBe(mib(replayLimitBytes + replayReserveBytes));
    expect(said[1]).toBe(`${mib(receiveBudgetBytes)} + n × ${initialWindowBytes / 1024} KiB`);
    expect(said[2]).toBe(`${mib(16 * writeHighWaterBytes)} + n × ${writeHighWaterBytes / 1024 + 128} KiB`);
  });
});

describe("docs/errors.md", () => {
  const rows = rowsOf(proseOf(read("docs/errors.md")));

  it("has every code once, with its sentence", () => {
    const said = rows.filter((row) => row.length === 4).map(([code, sentence]) => [plain(code), sentence]);
    const meant = Object.entries(ERRORS).map(([code, { sentence }]) => [code, sentence]);
    expect(said.sort()).toEqual(meant.sort());
  });

  it("says with which exit code the command ends", () => {
    const exits = rowsOf(section("docs/errors.md", "What ends a client"));
    expect(exits.length).toBeGreaterThan(3);
    for (const [exit, codes] of exits) {
      for (const [, code] of codes?.matchAll(/`([a-z_]+)`/g) ?? []) {
        expect(exitCodeOf(new CulvertError(code as ErrorCode)), code).toBe(Number(exit));
      }
    }
  });
});

describe("docs/operations.md", () => {
  it("lists messages that the code logs", () => {
    const source = SOURCES.map(read).join("\n");
    const messages = rowsOf(section("docs/operations.md", "Logs")).flatMap(([cell]) =>
      [...(cell ?? "").matchAll(/`([^`]+)`/g)].map(([, message]) => message as string),
    );
    expect(messages.length).toBeGreaterThan(15);
    for (const message of messages) expect(source, message).toContain(`"${message}"`);
  });

  it("lists every audit record that there is", () => {
    const types = (path: string, type: RegExp): string[] =>
      [...read(path).matchAll(type)].map(([, name]) => name as string);
    const made = [
      ...types("packages/server/src/audit-record.ts", /readonly type: "(\w+)"/g),
      ...types("packages/cli/src/audit-log.ts", /\{ type: "(\w+)"/g),
    ];
    const listed = rowsOf(section("docs/operations.md", "Audit")).flatMap(([cell]) =>
      [...(cell ?? "").matchAll(/`(\w+)`/g)].map(([, name]) => name as string),
    );
    expect(listed.sort()).toEqual(made.sort());
  });

  it("shows flags that docs/cli.md has", () => {
    const known = read("docs/cli.md");
    for (const page of ["docs/operations.md", "README.md"]) {
      const commands = read(page).match(/^.*\bculvert (?:server|client) .*(?:\n +-.*)*$/gm) ?? [];
      expect(commands.length, page).toBeGreaterThan(1);
      for (const flag of commands.join("\n").match(/--[a-z][a-z-]+/g) ?? []) {
        expect(known, page).toContain(`\`${flag}`);
      }
    }
  });
});

describe("all documents", () => {
  it("are found", () => {
    expect(DOCUMENTS).toEqual(
      expect.arrayContaining(["README.md", "docs/protocol.md", "packages/peer/README.md"]),
    );
  });

  it.each(DOCUMENTS)("%s: links lead somewhere", (path) => {
    for (const [, target] of proseOf(read(path)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target as string)) continue;
      const [file, anchor] = (target as string).split("#") as [string, string | undefined];
      const to = file === "" ? path : relative(ROOT, join(ROOT, dirname(path), file));
      expect(existsSync(join(ROOT, to)), `${path} -> ${target}`).toBe(true);
      if (anchor !== undefined) expect(anchorsOf(to), `${path} -> ${target}`).toContain(anchor);
    }
  });

  it.each(["ARCHITECTURE.md", "CONTRIBUTING.md", ...globSync("packages/*/README.md", { cwd: ROOT })])(
    "%s: names files that there are",
    (path) => {
      const names = new Set(
        globSync(["packages/*/{src,test}/**/*.ts", "test/**/*.ts"], { cwd: ROOT }).map((file) =>
          basename(file),
        ),
      );
      for (const [, name] of proseOf(read(path)).matchAll(/`([\w./*-]+\.(?:ts|md|json|yaml))`/g)) {
        const file = name as string;
        if (file.includes("/")) expect(globSync(file, { cwd: ROOT }), `${path}: ${file}`).not.toEqual([]);
        else {
          const isThere = [ROOT, join(ROOT, dirname(path))].some((folder) => existsSync(join(folder, file)));
          expect(names.has(file) || isThere || file === "package.json", file).toBe(true);
        }
      }
    },
  );
});

/** The anchors of a document's headings, as GitHub makes them. */
function anchorsOf(path: string): string[] {
  return [...proseOf(read(path)).matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
    (title as string)
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replace(/ /g, "-"),
  );
}
