import type { ClientOptions } from "@culvert/client";
import { nearest } from "@culvert/policy";
import type { ServerOptions } from "@culvert/server";
import { Command, CommanderError, Option } from "commander";
import { type ClientFlagValues, clientOptionsOf, defineClientCommand } from "./client-command.ts";
import {
  type CommonFlagValues,
  OUTPUT_GROUP,
  type OutputSettings,
  outputSettingsOf,
} from "./common-flags.ts";
import { checkEnvironment, type Environment } from "./environment.ts";
import { EXIT } from "./exit-codes.ts";
import { CLIENT_EXAMPLES, PROGRAM_EXAMPLES, reference, SERVER_EXAMPLES } from "./help-text.ts";
import { defineServerCommand, type ServerFlagValues, serverOptionsOf } from "./server-command.ts";
import { shown, UsageError } from "./usage-error.ts";
import { VERSION } from "./version.ts";

/** What a command line asks for. */
export type Plan =
  /** Help or version: write it and end. */
  | {
      readonly kind: "text";
      readonly text: string;
      readonly to: "stdout" | "stderr";
      readonly exitCode: number;
    }
  | { readonly kind: "server"; readonly options: ServerOptions; readonly output: OutputSettings }
  | { readonly kind: "client"; readonly options: ClientOptions; readonly output: OutputSettings };

/** Below this it would not be wrapped at all. */
const MIN_COLUMNS = 80;
const MAX_COLUMNS = 100;

/**
 * Reads a command line and the environment; also the files of token and headers, so that everything that can be wrong is
 * found before anything starts.
 * @param argv Without the program's own name.
 * @throws UsageError
 */
export function parseCommandLine(argv: readonly string[], env: Environment, columns = 80): Plan {
  let plan: Plan | undefined;
  const written = { stdout: "", stderr: "" };
  const program = makeProgram(columns, written);
  program.command("server").action((flags: ServerFlagValues, command: Command) => {
    plan = { kind: "server", options: serverOptionsOf(flags, env), output: outputOf(flags, command, env) };
  });
  program.command("client").action((urls: string[], flags: ClientFlagValues, command: Command) => {
    plan = {
      kind: "client",
      options: clientOptionsOf(urls, flags, env),
      output: outputOf(flags, command, env),
    };
  });
  for (const command of program.commands) define(command);
  try {
    if (argv.length === 0) program.help({ error: true });
    program.parse(argv, { from: "user" });
    checkEnvironment(env);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return afterCommander(error, program, argv, written);
  }
  return plan!;
}

function makeProgram(columns: number, written: { stdout: string; stderr: string }): Command {
  const width = Math.max(MIN_COLUMNS, Math.min(columns, MAX_COLUMNS));
  return new Command("culvert")
    .description("Carries TCP through one-way firewalls over a WebSocket that may drop at any moment.")
    .version(VERSION, "-V, --version", "show the version")
    .usage("<command> [flags]")
    .helpOption("-h, --help", "show this help")
    .helpCommand("help [command]", "show the help of a command")
    .configureHelp({ subcommandTerm: (command) => command.name() })
    .addHelpText("after", PROGRAM_EXAMPLES)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => {
        written.stdout += text;
      },
      writeErr: (text) => {
        written.stderr += text;
      },
      getOutHelpWidth: () => width,
      getErrHelpWidth: () => width,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
}

function define(command: Command): void {
  command.usage(command.name() === "client" ? "<server-url...> [flags]" : "[flags]");
  if (command.name() === "client") defineClientCommand(command);
  else defineServerCommand(command);
  command.addHelpOption(new Option("-h, --help", "show this help").helpGroup(OUTPUT_GROUP));
  command.addHelpText(
    "after",
    `${command.name() === "client" ? CLIENT_EXAMPLES : SERVER_EXAMPLES}${reference()}`,
  );
}

function outputOf(flags: CommonFlagValues, command: Command, env: Environment): OutputSettings {
  return outputSettingsOf(flags, env, (flag) => command.getOptionValueSource(flag) === "default");
}

/** Commander ends a program by throwing: after help and version, and for what it cannot read. */
function afterCommander(
  error: CommanderError,
  program: Command,
  argv: readonly string[],
  written: { readonly stdout: string; readonly stderr: string },
): Plan {
  switch (error.code) {
    case "commander.helpDisplayed":
    case "commander.version":
      return { kind: "text", text: written.stdout, to: "stdout", exitCode: EXIT.ok };
    case "commander.help":
      return written.stdout === ""
        ? { kind: "text", text: written.stderr, to: "stderr", exitCode: EXIT.usage }
        : { kind: "text", text: written.stdout, to: "stdout", exitCode: EXIT.ok };
    default:
      throw new UsageError(sentenceOf(error, program, argv));
  }
}

/** Commander's complaints in our form: one sentence that says how to mend it, and shows no value of a flag. */
function sentenceOf(error: CommanderError, program: Command, argv: readonly string[]): string {
  const command = program.commands.find((one) => one.name() === argv[0]) ?? program;
  const path = command === program ? "culvert" : `culvert ${command.name()}`;
  const quoted = /'([^']*)'/.exec(error.message)?.[1] ?? "";
  switch (error.code) {
    case "commander.unknownOption":
      return unknownFlag(quoted.replace(/=.*$/s, ""), command, path);
    case "commander.unknownCommand": {
      const names = program.commands.map((one) => one.name());
      const meant = nearest(quoted, names);
      const mend = meant === undefined ? `write one of ${names.join(", ")}` : `did you mean ${meant}`;
      return `culvert ${shown(quoted)} is not a command: ${mend}${meant === undefined ? "." : "?"}`;
    }
    case "commander.optionMissingArgument": {
      const option = command.options.find(({ flags }) => flags === quoted);
      const name = option?.short ?? option?.long ?? quoted;
      return `${name} needs a value: write it behind the flag, as in ${name} ${/<.*>/.exec(quoted)?.[0] ?? ""}.`;
    }
    case "commander.excessArguments":
      return `${path} takes no arguments, only flags: see ${path} --help.`;
    default:
      return `${error.message.replace(/^error: /, "").replace(/\s+/g, " ")}: see ${path} --help.`;
  }
}

function unknownFlag(flag: string, command: Command, path: string): string {
  if (flag === "--token") {
    return "there is no flag --token, because other users of a machine can read its command lines: use --token-file <file>, or set CULVERT_TOKEN.";
  }
  const known = command.options.flatMap(({ short, long }) =>
    [short, long].filter((name) => name !== undefined),
  );
  const meant = nearest(flag, known) ?? known.find((name) => flag.length > 4 && name.startsWith(flag));
  if (meant !== undefined) return `there is no flag ${shown(flag)}: did you mean ${meant}?`;
  return `there is no flag ${shown(flag)}: see ${path} --help.`;
}
