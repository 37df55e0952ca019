import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream, createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { ChaosProxy } from "@culvert/chaos";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { need } from "./support/needed-programs.ts";
import { PrivateSshd } from "./support/private-sshd.ts";
import { MIB } from "./support/process-figures.ts";
import { Program, run } from "./support/program.ts";
import { RandomBytes } from "./support/random-bytes.ts";
import { ScratchDirectory } from "./support/scratch-directory.ts";
import { MODES, TunnelRig } from "./support/tunnel-rig.ts";

const SENT_BYTES = 20 * MIB + 17;

describe.each(MODES)("ssh through %s", (mode) => {
  let sshd: PrivateSshd;

  beforeEach(async (context) => {
    need(context, "ssh", "scp", "ssh-keygen", "sshd");
    sshd = await PrivateSshd.start();
  });
  afterEach(() => sshd?.[Symbol.asyncDispose]());

  test("runs a command, and its output and exit status come back", async () => {
    await using rig = await TunnelRig.open(mode, sshd.port);
    const args = [...sshd.login(rig.port), "echo out; echo err >&2; exit 42"];
    expect(await run("ssh", args)).toEqual({ code: 42, stdout: "out", stderr: "err" });
  });

  test("carries 20 MB through stdin and stdout", async () => {
    await using rig = await TunnelRig.open(mode, sshd.port);
    const bytes = new RandomBytes(2, SENT_BYTES);
    const hash = createHash("sha256");
    await using ssh = await Program.start("ssh", {
      args: [...sshd.login(rig.port), "cat"],
      stdio: ["pipe", "pipe", "pipe"],
      onStdout: (piece) => void hash.update(piece),
    });
    await pipeline(bytes, ssh.stdin!);
    expect((await ssh.exit(60_000)).code).toBe(0);
    expect(hash.digest("hex")).toBe(bytes.sha256());
  });

  test("scp copies 20 MB there and back, and does not notice that the WebSocket is cut meanwhile", async () => {
    using scratch = new ScratchDirectory();
    const bytes = new RandomBytes(3, SENT_BYTES);
    const [original, there, back] = ["original", "there", "back"].map((name) => scratch.file(name));
    await pipeline(bytes, createWriteStream(original!));

    let proxy: ChaosProxy | undefined;
    await using rig = await TunnelRig.open(mode, sshd.port, {
      clientFlags: ["--retry-base", "50ms"],
      via: async (port) => {
        proxy = await ChaosProxy.start({ target: { host: "127.0.0.1", port }, seed: 3 });
        return proxy.port;
      },
    });
    await using chaos = proxy!;
    for (const [from, to, direction] of [
      [original!, `${sshd.user}@127.0.0.1:${there!}`, mode === "-L" ? "up" : "down"],
      [`${sshd.user}@127.0.0.1:${there!}`, back!, mode === "-L" ? "down" : "up"],
    ] as const) {
      const cut = once(chaos, "cut");
      chaos.cutAfter({ which: "live", bytes: SENT_BYTES / 2 - 0.5, direction, how: "rst" });
      const { code, stderr } = await run("scp", [...sshd.copyFlags(rig.port), from, to]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      await cut;
    }
    expect((await rig.client.sessionReport()).resumes).toBe(2);

    const hash = createHash("sha256");
    await pipeline(createReadStream(back!), hash);
    expect(hash.digest("hex")).toBe(bytes.sha256());
  });
});
