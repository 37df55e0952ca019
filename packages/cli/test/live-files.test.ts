import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LogFields } from "@culvert/peer";
import { describe, expect, it, onTestFinished, test } from "vitest";
import { LiveFiles } from "../src/live-files.ts";
import { createLog } from "../src/log.ts";
import { readSecretFile } from "../src/secret-file.ts";
import { UsageError } from "../src/usage-error.ts";
import { temporaryDirectory } from "./support.ts";

/** The tests look by themselves. */
const NEVER_MS = 2 ** 30;

/** One file that is watched, whose content must not be "broken". */
class Watched {
  readonly applied: string[] = [];
  readonly log: LogFields[] = [];
  readonly files: LiveFiles;

  constructor(path: string, atStart: string) {
    const log = createLog({
      ...{ level: "info", format: "json", color: false },
      sink: { queuedBytes: 0, write: (line) => void this.log.push(JSON.parse(line) as LogFields) },
    });
    const read = (): { fingerprint: string; apply: () => void } => {
      const text = readSecretFile(path, "--users");
      if (text === "broken") throw new UsageError(`${path}: line 1 is broken.`);
      return { fingerprint: hash(text), apply: () => void this.applied.push(text) };
    };
    this.files = new LiveFiles(
      [{ what: "users", files: [path], inForce: hash(atStart), read }],
      log,
      NEVER_MS,
    );
    onTestFinished(() => this.files.close());
  }

  /** As many looks as it takes to see a change. */
  async looks(): Promise<void> {
    await this.files.look();
    await this.files.look();
  }

  get messages(): unknown[] {
    return this.log.map(({ msg }) => msg);
  }
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function put(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o600 });
}

describe("LiveFiles", () => {
  const AGAIN = "read again, and in force";
  const HELD = "not read again: what was read before still holds";

  it("reads a file that was changed, replaced or touched by nothing but its content", async () => {
    const path = join(temporaryDirectory(), "users.yaml");
    put(path, "one");
    const watched = new Watched(path, "one");
    await watched.looks();
    expect(watched.applied).toEqual([]);
    put(path, "two");
    await watched.looks();
    put(`${path}.new`, "abc");
    renameSync(`${path}.new`, path);
    await watched.looks();
    utimesSync(path, 1, 1);
    await watched.looks();
    expect(watched.applied).toEqual(["two", "abc"]);
    expect(watched.messages).toEqual([AGAIN, AGAIN]);
  });

  it("waits for the end of a change", async () => {
    const path = join(temporaryDirectory(), "users.yaml");
    put(path, "one");
    const watched = new Watched(path, "one");
    await watched.looks();
    for (const part of ["bro", "broken", "broken no more"]) {
      put(path, part);
      await watched.files.look();
    }
    expect(watched.applied).toEqual([]);
    await watched.files.look();
    expect([watched.applied, watched.messages]).toEqual([["broken no more"], [AGAIN]]);
  });

  it("sees what happened between the start and its first look", async () => {
    const path = join(temporaryDirectory(), "users.yaml");
    put(path, "later");
    const watched = new Watched(path, "at the start");
    await watched.looks();
    expect(watched.applied).toEqual(["later"]);
  });

  it("sees a link that is turned, as container platforms replace files", async () => {
    const directory = temporaryDirectory();
    for (const name of ["1", "2"]) {
      mkdirSync(join(directory, name));
      put(join(directory, name, "users.yaml"), name);
    }
    symlinkSync("1", join(directory, "..data"));
    symlinkSync("..data/users.yaml", join(directory, "users.yaml"));
    const watched = new Watched(join(directory, "users.yaml"), "1");
    await watched.looks();
    symlinkSync("2", join(directory, "..new"));
    renameSync(join(directory, "..new"), join(directory, "..data"));
    await watched.looks();
    expect(watched.applied).toEqual(["2"]);
  });

  test.each<[string, (path: string) => void, string]>([
    ["broken", (path) => put(path, "broken"), "line 1 is broken."],
    ["gone", (path) => rmSync(path), "there is no such file."],
    ["open to others", (path) => chmodSync(path, 0o644), "(mode 644); run chmod 600"],
  ])(
    "G13, T26: a file that is %s changes nothing, is told of, and the next good one counts",
    async (_name, spoil, why) => {
      const path = join(temporaryDirectory(), "users.yaml");
      put(path, "one");
      const watched = new Watched(path, "one");
      await watched.looks();
      spoil(path);
      await watched.looks();
      await watched.looks();
      expect([watched.applied, watched.messages]).toEqual([[], [HELD]]);
      expect(watched.log[0]).toMatchObject({ level: "error", what: "users", files: [path] });
      expect(watched.log[0]?.reason).toContain(why);
      watched.files.readAgain();
      expect([watched.applied, watched.messages]).toEqual([[], [HELD, HELD]]);
      rmSync(path, { force: true });
      put(path, "two");
      await watched.looks();
      expect([watched.applied, watched.messages]).toEqual([["two"], [HELD, HELD, AGAIN]]);
    },
  );

  it("says so when a file that was broken is again what holds", async () => {
    const path = join(temporaryDirectory(), "users.yaml");
    put(path, "one");
    const watched = new Watched(path, "one");
    put(path, "broken");
    await watched.looks();
    put(path, "one");
    await watched.looks();
    expect([watched.applied, watched.messages]).toEqual([[], [HELD, AGAIN]]);
  });

  it("reads everything when asked, and says when there is nothing", () => {
    const path = join(temporaryDirectory(), "users.yaml");
    put(path, "one");
    const watched = new Watched(path, "one");
    watched.files.readAgain();
    expect([watched.applied, watched.messages]).toEqual([["one"], [AGAIN]]);
    const messages: string[] = [];
    const log = createLog({
      ...{ level: "info", format: "json", color: false },
      sink: {
        queuedBytes: 0,
        write: (line) => void messages.push((JSON.parse(line) as { msg: string }).msg),
      },
    });
    const none = new LiveFiles([], log);
    none.readAgain();
    none.close();
    expect(messages).toEqual(["SIGHUP: nothing to read again, going on"]);
  });
});
