import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import process from "node:process";
import { freePort } from "../../support/free-port.ts";
import { programPath } from "./needed-programs.ts";
import { Program, run } from "./program.ts";
import { ScratchDirectory } from "./scratch-directory.ts";

/** An sshd on a high port with keys of its own, for this user only. `await using` ends it. */
export class PrivateSshd implements AsyncDisposable {
  readonly port: number;
  readonly user: string = userInfo().username;
  readonly #scratch: ScratchDirectory;
  readonly #program: Program;

  private constructor(port: number, scratch: ScratchDirectory, program: Program) {
    this.port = port;
    this.#scratch = scratch;
    this.#program = program;
  }

  static async start(): Promise<PrivateSshd> {
    const scratch = new ScratchDirectory();
    for (const key of ["host-key", "user-key"]) {
      await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", scratch.file(key)]);
    }
    copyFileSync(scratch.file("user-key.pub"), scratch.file("authorized-keys"));
    const port = await freePort();
    const config = scratch.file("sshd-config");
    const settings = {
      Port: port,
      ListenAddress: "127.0.0.1",
      HostKey: scratch.file("host-key"),
      AuthorizedKeysFile: scratch.file("authorized-keys"),
      StrictModes: "no",
      UsePAM: "no",
      PasswordAuthentication: "no",
      PermitRootLogin: "prohibit-password",
      Subsystem: "sftp internal-sftp",
      PidFile: "none",
    };
    writeFileSync(
      config,
      Object.entries(settings)
        .map((setting) => `${setting.join(" ")}\n`)
        .join(""),
    );
    // Where a privileged sshd locks up its unprivileged half; the package's service would have made it.
    if (process.getuid?.() === 0) mkdirSync("/run/sshd", { recursive: true });
    const program = await Program.start(programPath("sshd"), { args: ["-D", "-e", "-f", config] });
    await program.stderr.waitFor("Server listening on 127.0.0.1");
    return new PrivateSshd(port, scratch, program);
  }

  /** Arguments of ssh to log in through `port`. */
  login(port: number): string[] {
    return [...this.#flags(), "-p", String(port), `${this.user}@127.0.0.1`];
  }

  /** Flags of scp to log in through `port`. */
  copyFlags(port: number): string[] {
    return [...this.#flags(), "-q", "-P", String(port)];
  }

  #flags(): string[] {
    const options = [
      "BatchMode=yes",
      "StrictHostKeyChecking=no",
      "UserKnownHostsFile=/dev/null",
      "LogLevel=ERROR",
    ];
    return [
      "-F",
      "none",
      "-i",
      this.#scratch.file("user-key"),
      ...options.flatMap((option) => ["-o", option]),
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program[Symbol.asyncDispose]();
    this.#scratch[Symbol.dispose]();
  }
}
