import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { ENVIRONMENT } from "../src/environment.ts";
import { EXIT_TABLE } from "../src/exit-codes.ts";
import { parseCommandLine } from "../src/program.ts";
import { VERSION } from "../src/version.ts";

function textOf(argv: readonly string[], columns?: number): string {
  const plan = parseCommandLine(argv, {}, columns);
  if (plan.kind !== "text") throw new Error(plan.kind);
  return plan.text;
}

/** Flags of a help text with what it says of each. */
function flagsOf(help: string): [flag: string, about: string][] {
  return [...help.matchAll(/^ {2}(-[^\n]*(?:\n {10,}[^\n]*)*)/gm)].map((match) => {
    const [flag, about] = match[1]!.replace(/\n\s+/g, " ").split(/\s{2,}/, 2);
    return [flag!, about ?? ""];
  });
}

describe.each(["server", "client"])("culvert %s --help", (command) => {
  const help = textOf([command, "--help"]);

  it("says of each flag what it does and what holds without it", () => {
    const flags = flagsOf(help);
    expect(flags.length).toBeGreaterThan(25);
    for (const [flag, about] of flags) {
      if (flag === "-h, --help") continue;
      expect(about, flag).toMatch(/^['a-z].{8,}\((?:repeatable; )?default: .+\)$/);
    }
  });

  it("has examples, grammars, environment and exit codes", () => {
    expect(help).toContain(`\nExamples:\n`);
    expect(help).toContain(`  culvert ${command} `.trimEnd());
    expect(help).toContain("500ms, 10s, 2m, 1h");
    expect(help).toContain("64KiB");
    for (const [name] of ENVIRONMENT) expect(help).toContain(`\n  ${name} `);
    for (const [code, meaning] of EXIT_TABLE) expect(help).toMatch(new RegExp(`\\n  ${code} +${meaning}`));
  });

  it.each([80, 90, 100, 300])("fits into %i columns", (columns) => {
    const width = Math.max(
      ...textOf([command, "--help"], columns)
        .split("\n")
        .map((line) => line.length),
    );
    expect(width).toBeLessThanOrEqual(Math.min(columns, 100));
  });

  it("has examples that are right", () => {
    const lines = help.replaceAll(/\\\n\s+/g, "").split("\n");
    const examples = lines.filter((line) => line.startsWith(`  culvert ${command}`));
    expect(examples.length).toBeGreaterThan(0);
    for (const example of examples) {
      const argv = example
        .trim()
        .replaceAll("'", "")
        // These name files that are not there.
        .replace(/ --(token-file|tls-cert|tls-key|users|ca|login-key) \S+/g, "")
        .split(/\s+/)
        .slice(1);
      expect(parseCommandLine(argv, {}).kind).toBe(command);
    }
  });
});

const TASKS = [
  ["token", "new"],
  ["token", "hash"],
  ["key", "new"],
  ["key", "show"],
  ["cert", "ca"],
  ["cert", "server"],
  ["cert", "client"],
  ["policy", "check"],
];

describe.each(TASKS)("culvert %s %s --help", (...path) => {
  const help = textOf([...path, "--help"]);

  it("says what it is for, and of each flag what it does and what holds without it", () => {
    expect(help).toMatch(new RegExp(`^Usage: culvert ${path.join(" ")} .*\n\n[A-Z]`));
    for (const [flag, about] of flagsOf(help)) {
      if (flag !== "-h, --help") expect(about, flag).toMatch(/^['a-z].{8,}\((?:repeatable; )?default: .+\)$/);
    }
  });

  it("fits into 80 columns", () => {
    expect(Math.max(...help.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  });
});

describe.each(["token", "key", "cert", "policy"])("culvert %s", (group) => {
  it("alone is a mistake that help mends", () => {
    const plan = parseCommandLine([group], {});
    expect(plan).toMatchObject({ kind: "text", to: "stderr", exitCode: 2 });
    expect(plan).toMatchObject({ text: textOf([group, "--help"]) });
  });

  it("has examples that are right", () => {
    const examples = textOf([group, "--help"])
      .split("\n")
      .filter((line) => line.startsWith(`  culvert ${group} `));
    expect(examples.length).toBeGreaterThan(0);
    for (const example of examples) {
      expect(parseCommandLine(example.trim().split(/\s+/).slice(1), {}).kind).toBe("task");
    }
  });
});

describe("culvert", () => {
  it("shows its version", () => {
    const plan = parseCommandLine(["--version"], {});
    expect(plan).toEqual({ kind: "text", text: `${VERSION}\n`, to: "stdout", exitCode: 0 });
    expect(VERSION).toMatch(/^\d+\.\d+\.\d+/);
    expect(parseCommandLine(["-V"], {})).toEqual(plan);
    expect(parseCommandLine(["server", "--version"], {})).toEqual(plan);
  });

  it("shows its help, which names the commands", () => {
    const help = textOf(["--help"]);
    expect(help).toMatch(/\n {2}server +\S.*\n {2}client +\S/);
    expect(textOf(["help"])).toBe(help);
    expect(textOf(["-h"])).toBe(help);
    expect(textOf(["help", "client"])).toBe(textOf(["client", "--help"]));
  });

  it("alone is a mistake that help mends", () => {
    expect(parseCommandLine([], {})).toEqual({
      kind: "text",
      text: textOf(["--help"]),
      to: "stderr",
      exitCode: 2,
    });
  });
});

describe("docs/cli.md", () => {
  const page = readFileSync(new URL("../../../docs/cli.md", import.meta.url), "utf8").replaceAll(
    / {2,}/g,
    " ",
  );

  it("has every flag with its default", () => {
    for (const command of ["server", "client"]) {
      for (const [flag, about] of flagsOf(textOf([command, "--help"]))) {
        if (flag === "-h, --help") continue;
        const row = page.split("\n").find((line) => line.startsWith(`| \`${flag.replace(", ", "`, `")}\` |`));
        expect(row, flag).toBeDefined();
        const fallback = /default: ([^()]+)\)$/.exec(about)![1]!;
        const grace = flag.startsWith("--grace");
        if (!grace) expect(row!.split("|")[2]!.replaceAll("`", "").trim(), flag).toBe(fallback);
      }
    }
  });

  it("has every further command, with its flags and their defaults", () => {
    for (const path of TASKS) {
      expect(page).toContain(`\`culvert ${path.join(" ")}`);
      for (const [flag, about] of flagsOf(textOf([...path, "--help"]))) {
        if (flag === "-h, --help") continue;
        const fallback = /default: ([^()]+)\)$/.exec(about)![1]!;
        const row = page
          .split("\n")
          .find((line) => line.startsWith(`| \`${path.join(" ")}\` | \`${flag}\` |`));
        expect(row?.split("|")[3]?.replaceAll("`", "").trim(), `${path.join(" ")} ${flag}`).toBe(fallback);
      }
    }
  });

  it("has every exit code and every variable", () => {
    for (const [code] of EXIT_TABLE) expect(page).toContain(`\n| ${code} |`);
    for (const [name] of ENVIRONMENT) expect(page).toContain(`\n| \`${name}\` |`);
  });
});
