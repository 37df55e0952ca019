import type { Writable } from "node:stream";
import type { Logger } from "@culvert/peer";
import { safeText } from "@culvert/peer";
import { runClient } from "./client-command.ts";
import type { CommandContext } from "./command-context.ts";
import type { OutputSettings } from "./common-flags.ts";
import { DescriptorWatch } from "./descriptor-watch.ts";
import type { Environment } from "./environment.ts";
import { EXIT, exitCodeOf } from "./exit-codes.ts";
import { failureSentence } from "./failure.ts";
import { createLog } from "./log.ts";
import { Outlet, type Sink, streamSink } from "./outlet.ts";
import { type Plan, parseCommandLine } from "./program.ts";
import { ReadyLines } from "./ready-lines.ts";
import { RotatingFile } from "./rotating-file.ts";
import { runServer } from "./server-command.ts";
import { type SignalHost, Signals } from "./signals.ts";
import { shown, UsageError } from "./usage-error.ts";
import { VERSION } from "./version.ts";

/** Sentences quote what servers say, and what was typed. */
const MAX_SENTENCE_BYTES = 8192;

/** A stream of the process, or a stand-in for one. */
export type OutputStream = Writable & { readonly isTTY?: boolean; readonly columns?: number };

export interface Streams {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
}

/**
 * The command: reads its command line, does what it says until it is done or stopped, and resolves with the exit code.
 * Never rejects, and never ends the process by itself.
 *
 * @param argv Without the program's own name.
 * @param host Tells of signals and of errors that nobody caught.
 */
export async function run(
  argv: readonly string[],
  env: Environment,
  streams: Streams,
  host: SignalHost,
): Promise<number> {
  const out = streamSink(streams.stdout);
  const err = streamSink(streams.stderr);
  const say = (sentence: string): void =>
    err.write(`culvert: ${safeText(sentence, MAX_SENTENCE_BYTES)}\n`, ignore);
  let plan: Plan;
  let log: Logger;
  try {
    plan = parseCommandLine(argv, env, streams.stdout.columns);
    if (plan.kind === "text") {
      (plan.to === "stdout" ? out : err).write(plan.text, ignore);
      return plan.exitCode;
    }
    log = openLog(plan, env, streams.stderr, err);
  } catch (error) {
    say(failureSentence(error));
    return exitCodeOf(error);
  }

  const signals = new Signals(host, streams.stderr.isTTY === true);
  const descriptors = new DescriptorWatch(log);
  try {
    return await carryOut(plan, {
      log,
      signals,
      ready: readyLines(plan.output, out, log),
      agent: `culvert/${VERSION}`,
    });
  } catch (error) {
    const exitCode = exitCodeOf(error);
    const hasToken = plan.options.token !== undefined;
    const sentence = failureSentence(error, { command: plan.kind, hasToken });
    if (exitCode === EXIT.internal) log.error({ error }, "internal error");
    // Who reads the log by program finds the end there too; a person is told in a sentence.
    const isForPrograms =
      plan.output.logFile !== undefined || logFormatOf(plan.output, streams.stderr) === "json";
    if (isForPrograms && exitCode !== EXIT.usage) log.error({ exitCode, reason: sentence }, "ended");
    if (!isForPrograms || plan.output.logFile !== undefined || exitCode === EXIT.usage) say(sentence);
    return exitCode;
  } finally {
    descriptors.close();
    signals.dispose();
  }
}

/** Resolves when the command is done or forced to end. @throws why it failed. */
async function carryOut(plan: Exclude<Plan, { kind: "text" }>, context: CommandContext): Promise<number> {
  const work = plan.kind === "server" ? runServer(plan.options, context) : runClient(plan.options, context);
  const { forced, crashed } = context.signals;
  return await Promise.race([
    work.then(() => EXIT.ok),
    forced.then((exitCode) => {
      context.log.warn({ exitCode }, "a second signal: ended at once, open connections are cut off");
      return exitCode;
    }),
    crashed.then((error) => Promise.reject(error instanceof Error ? error : new Error(String(error)))),
  ]);
}

function openLog(
  { options, output }: Exclude<Plan, { kind: "text" }>,
  env: Environment,
  stderr: OutputStream,
  err: Sink,
): Logger {
  return createLog({
    level: output.logLevel,
    format: logFormatOf(output, stderr),
    color: output.logFile === undefined && stderr.isTTY === true && (env.NO_COLOR ?? "") === "",
    sink: output.logFile === undefined ? err : openLogFile(output.logFile),
    secrets: secretsOf(options),
  });
}

/** What was given to us in confidence: the token, and headers that carry credentials by their name. */
function secretsOf(options: Exclude<Plan, { kind: "text" }>["options"]): string[] {
  const headers = "headers" in options && typeof options.headers === "object" ? options.headers : {};
  const confidential = Object.entries(headers).filter(([name]) => /auth|cookie|token|secret|key/i.test(name));
  const token = typeof options.token === "string" ? options.token : "";
  return [token, ...confidential.map(([, value]) => value)];
}

function logFormatOf({ logFormat, logFile }: OutputSettings, stderr: OutputStream): "pretty" | "json" {
  if (logFormat !== "auto") return logFormat;
  return logFile === undefined && stderr.isTTY === true ? "pretty" : "json";
}

function openLogFile({ path, maxBytes }: { readonly path: string; readonly maxBytes: number }): RotatingFile {
  try {
    return new RotatingFile(path, maxBytes);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(
      `--log-file ${shown(path)} cannot be written (${code ?? "unknown reason"}): name a file in a directory where this user may write.`,
    );
  }
}

function readyLines(output: OutputSettings, out: Sink, log: Logger): ReadyLines {
  const outlet = new Outlet(out, {
    // Nothing but ready lines on stdout; the log tells of the loss.
    lostLine: () => "",
    onTrouble: (cause) => log.warn({ cause }, "stdout cannot be written, ready lines are lost"),
  });
  return new ReadyLines(outlet, output.json);
}

function ignore(): void {}
