import { newToken, tokenDigest } from "@culvert/server";
import type { Command } from "commander";
import { EXIT } from "./exit-codes.ts";
import { textFlag } from "./flags.ts";
import { writeNewFiles } from "./new-file.ts";
import { readSecretFile } from "./secret-file.ts";
import { readSecretLine } from "./secret-line.ts";
import type { Task, TaskIo } from "./task.ts";
import { UsageError } from "./usage-error.ts";

/** Gives `command` its commands: `new` and `hash`. */
export function defineTokenCommand(command: Command, plan: (task: Task) => void): void {
  command
    .summary("make a token for a user")
    .description(
      "Makes tokens for the users of a server. The server keeps a hash of each, which its users file holds; the token " +
        "itself is shown once.",
    );
  command
    .command("new")
    .summary("make a token, and the line for the users file")
    .description(
      "Makes a token of 256 random bits. The token goes to stdout, the line for the users file to stderr; with --file " +
        "the token goes there, and what the line holds to stdout.",
    )
    .usage("[flags]")
    .addOption(
      textFlag("--file <file>", "a new file for the token, which only its owner may read", {
        none: "stdout",
      }),
    )
    .action((flags: { readonly file?: string }) => plan((io) => makeToken(flags.file, io)));
  command
    .command("hash")
    .summary("the line for the users file of a token that there is")
    .description("Shows the line for the users file of a token that culvert token new made.")
    .argument("<file>", "file with the token; - reads it from stdin, or asks for it on a terminal")
    .usage("<file> [flags]")
    .action((file: string) => plan((io) => hashToken(file, io)));
}

function makeToken(file: string | undefined, io: TaskIo): number {
  const { text, digest } = newToken();
  if (file === undefined) {
    io.out(text);
    io.note("The token is shown this once. The line for its user in the users file:");
    io.note(`  tokens: ["${digest}"]`);
  } else {
    writeNewFiles([{ path: file, text: `${text}\n`, isSecret: true }], "--file");
    io.out(digest);
    io.note("The line for its user in the users file:");
    io.note(`  tokens: ["${digest}"]`);
    io.note(`The client uses it by: --token-file ${file}`);
  }
  return EXIT.ok;
}

async function hashToken(file: string, io: TaskIo): Promise<number> {
  const token = file === "-" ? await readSecretLine(io, "the token") : readSecretFile(file, "the file");
  const digest = tokenDigest(token);
  if (digest === undefined) {
    throw new UsageError("this is not a token of a user: make one with: culvert token new.");
  }
  io.out(digest);
  return EXIT.ok;
}
