import { newLoginKey, readLoginKey } from "@culvert/peer";
import type { Command } from "commander";
import { EXIT } from "./exit-codes.ts";
import { writeNewFiles } from "./new-file.ts";
import { asUsage } from "./option-fault.ts";
import { readSecretFile } from "./secret-file.ts";
import type { Task, TaskIo } from "./task.ts";
import { UsageError } from "./usage-error.ts";

/** Gives `command` its commands: `new` and `show`. */
export function defineKeyCommand(command: Command, plan: (task: Task) => void): void {
  command
    .summary("make a key that logs a client in")
    .description(
      "Makes Ed25519 keys that log clients in. The server knows the public half, from its users file; nothing that is " +
        "secret leaves the machine of the client.",
    );
  command
    .command("new")
    .summary("make a key in a new file")
    .description(
      "Makes a key (PKCS #8 PEM) in a new file that only its owner may read, and shows its public half.",
    )
    .argument("<file>", "a new file for the key")
    .usage("<file> [flags]")
    .action((file: string) => plan((io) => makeKey(file, io)));
  command
    .command("show")
    .summary("show the public half of a key")
    .description("Shows the public half of a key, the line for the users file.")
    .argument("<file>", "file with the key, which only its owner may read")
    .usage("<file> [flags]")
    .action((file: string) => plan((io) => showKey(file, io)));
}

function makeKey(file: string, io: TaskIo): number {
  const { pem, publicText } = newLoginKey();
  writeNewFiles([{ path: file, text: pem, isSecret: true }], "the file");
  io.out(publicText);
  io.note("The line for its user in the users file:");
  io.note(`  keys: ["${publicText}"]`);
  io.note(`The client uses it by: --login-key ${file}`);
  return EXIT.ok;
}

function showKey(file: string, io: TaskIo): number {
  const pem = readSecretFile(file, "the file");
  if (pem === "") throw new UsageError("the file is empty: make a key with: culvert key new.");
  io.out(asUsage(() => readLoginKey(pem)).publicText);
  return EXIT.ok;
}
