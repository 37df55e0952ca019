import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, test } from "vitest";
import { outcomeOf, temporaryDirectory, temporaryFile } from "./support.ts";

const TOKEN = /^culvert_([a-z0-9]{8})_[A-Za-z0-9_-]{43}\n$/;

function digestOf(token: string): string {
  const hash = createHash("sha256").update(token).digest("base64url");
  return `${token.slice(8, 16)}:sha256:${hash}`;
}

describe("culvert token", () => {
  it("shows a new token once, and beside it the line for the users file", async () => {
    const { exitCode, stdout, stderr } = await outcomeOf(["token", "new"]);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(TOKEN);
    expect(stderr).toContain(`  tokens: ["${digestOf(stdout.trim())}"]\n`);
    expect(stderr).not.toContain(stdout.trim());
    expect((await outcomeOf(["token", "new"])).stdout).not.toBe(stdout);
  });

  test("T5: a token in a file is for its owner only, and shown nowhere", async () => {
    const file = join(temporaryDirectory(), "alice.token");
    const { exitCode, stdout, stderr } = await outcomeOf(["token", "new", "--file", file]);
    const token = readFileSync(file, "utf8");
    expect([exitCode, stdout]).toEqual([0, `${digestOf(token.trim())}\n`]);
    expect(stderr).toContain(`\n  tokens: ["${stdout.trim()}"]\n`);
    expect(stderr).toContain(`--token-file ${file}\n`);
    expect(stderr).not.toContain(token.trim());
    expect(token).toMatch(TOKEN);
    expect((statSync(file).mode & 0o777).toString(8)).toBe("600");
  });

  it("never writes over a file, nor through a link", async () => {
    const file = temporaryFile("precious");
    const link = join(temporaryDirectory(), "link");
    symlinkSync(join(temporaryDirectory(), "elsewhere"), link);
    for (const path of [file, link]) {
      expect(await outcomeOf(["token", "new", "--file", path])).toEqual({
        exitCode: 2,
        stdout: "",
        stderr: `culvert: --file ${path}: there is such a file, and it is not overwritten: choose another name, or remove it first.\n`,
      });
    }
    expect(readFileSync(file, "utf8")).toBe("precious");
    const nowhere = join(temporaryDirectory(), "none", "token");
    expect(await outcomeOf(["token", "new", "--file", nowhere])).toMatchObject({
      exitCode: 2,
      stderr: `culvert: --file ${nowhere} cannot be written (ENOENT): name a file in a directory where this user may write.\n`,
    });
  });

  it("shows the line for a token that there is, from a file or from stdin", async () => {
    const token = (await outcomeOf(["token", "new"])).stdout;
    const line = { exitCode: 0, stdout: `${digestOf(token.trim())}\n`, stderr: "" };
    expect(await outcomeOf(["token", "hash", temporaryFile(token)])).toEqual(line);
    for (const stdin of [token, token.trim(), token.replace("\n", "\r\n"), `${token}more\n`]) {
      expect(await outcomeOf(["token", "hash", "-"], { stdin })).toEqual(line);
    }
  });

  it.each([
    [["hash", "-"], "culvert: the token is missing: stdin gave nothing.\n"],
    [["hash"], "culvert: culvert token hash needs an argument: write culvert token hash <file> [flags].\n"],
    [["hash", "/nowhere"], "culvert: the file /nowhere: there is no such file.\n"],
    [["nwe"], "culvert: culvert token nwe is not a command: did you mean new?\n"],
    [
      ["new", "extra"],
      "culvert: culvert token new takes no arguments, only flags: see culvert token new --help.\n",
    ],
    [["new", "--flie", "x"], "culvert: there is no flag --flie: did you mean --file?\n"],
  ])("G1: refuses %j in one sentence", async (argv, stderr) => {
    expect(await outcomeOf(["token", ...argv])).toEqual({ exitCode: 2, stdout: "", stderr });
  });

  test("T5: what is no token is refused without being shown", async () => {
    for (const stdin of ["canary-canary-canary\n", "culvert_short_canary\n", "x".repeat(70_000)]) {
      const { exitCode, stdout, stderr } = await outcomeOf(["token", "hash", "-"], { stdin });
      expect([exitCode, stdout]).toEqual([2, ""]);
      expect(stderr).not.toMatch(/canary|xx/);
    }
    const loose = temporaryFile("culvert_aaaaaaaa_canary", 0o644);
    const { stderr } = await outcomeOf(["token", "hash", loose]);
    expect(stderr).toContain("other users may read or change the file (mode 644)");
    expect(stderr).not.toContain("canary");
  });
});

describe("culvert key", () => {
  it("makes a key for its owner only, and shows the public half", async () => {
    const directory = temporaryDirectory();
    const file = join(directory, "alice.key");
    const made = await outcomeOf(["key", "new", file]);
    expect(made.exitCode).toBe(0);
    expect(made.stdout).toMatch(/^ed25519:[A-Za-z0-9+/]{43}=\n$/);
    expect(made.stderr).toContain(`  keys: ["${made.stdout.trim()}"]\n`);
    expect(made.stdout + made.stderr).not.toMatch(/PRIVATE|MC4C/);
    expect(readFileSync(file, "utf8")).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
    expect((statSync(file).mode & 0o777).toString(8)).toBe("600");
    expect(await outcomeOf(["key", "show", file])).toEqual({ exitCode: 0, stdout: made.stdout, stderr: "" });
    expect(await outcomeOf(["key", "new", file])).toMatchObject({ exitCode: 2, stdout: "" });
    expect(readdirSync(directory)).toEqual(["alice.key"]);
    expect((await outcomeOf(["key", "show", file])).stdout).toBe(made.stdout);
  });

  it.each([
    ["", 0o600, /^culvert: the file is empty: make a key with: culvert key new\.\n$/],
    ["canary", 0o600, /^culvert: the private key cannot be used: .*culvert key new\.\n$/],
    [
      "canary",
      0o640,
      /^culvert: the file \S+: other users may read or change the file \(mode 640\); run chmod 600 /,
    ],
  ])("G5: refuses a file of a key that holds %j with mode %o", async (content, mode, sentence) => {
    const { exitCode, stdout, stderr } = await outcomeOf(["key", "show", temporaryFile(content, mode)]);
    expect([exitCode, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(sentence);
    expect(stderr).not.toContain("canary");
  });
});
