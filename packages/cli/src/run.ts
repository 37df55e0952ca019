import { Readable, type Writable } from "node:stream";
import { type Logger, safeText, withEscapes } from "@culvert/peer";
import type { ServerOptions } from "@culvert/server";
import { auditLog } from "./audit-log.ts";
import { runClient } from "./client-command.ts";
import type { CommandContext } from "./command-context.ts";
import type { FileSettings, OutputSettings } from "./common-flags.ts";
import { DescriptorWatch } from "./descriptor-watch.ts";
import type { Environment } from "./environment.ts";
import { EXIT, exitCodeOf } from "./exit-codes.ts";
import { failureSentence } from "./failure.ts";
import { createLog } from "./log.ts";
import { Outlet, type Sink, streamSink } from "./outlet.ts";
import { type Plan, parseCommandLine } from "./program.ts";
import { ReadyLines } from "./ready-lines.ts";
import { RotatingFile } from "./rotating-file.ts";
import { readSecretLine } from "./secret-line.ts";
import { runServer } from "./server-command.ts";
import { type SignalHost, Signals } from "./signals.ts";
import type { TaskIo } from "./task.ts";
import { checkToken } from "./token-source.ts";
import { shown, UsageError } from "./usage-error.ts";
import { VERSION } from "./version.ts";

/** Sentences quote what servers say, and what was typed. */
const MAX_SENTENCE_BYTES = 8192;

/** A stream of the process, or a stand-in for one. */
export type OutputStream = Writable & { readonly isTTY?: boolean; readonly columns?: number };

export type InputStream = Readable & { readonly isTTY?: boolean };

export interface Streams {
  /** Read only where a command is told to. Default: empty. */
  readonly stdin?: InputStream;
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
  let plan: RunningPlan;
  let log: Logger;
  try {
    const parsed = parseCommandLine(argv, env, streams.stdout.columns);
    if (parsed.kind === "text") {
      (parsed.to === "stdout" ? out : err).write(parsed.text, ignore);
      return parsed.exitCode;
    }
    const io = taskIo(streams, out, err);
    if (parsed.kind === "task") return await parsed.task(io);
    plan = parsed.asksToken ? withToken(parsed, await readSecretLine(io, "the token")) : parsed;
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
    const sentence = failureSentence(error, { command: plan.kind, login: loginOf(plan) });
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

/** What a command that goes on until it is stopped is to do. */
type RunningPlan = Extract<Plan, { kind: "server" | "client" }>;

function taskIo(streams: Streams, out: Sink, err: Sink): TaskIo {
  return {
    out: (line) => out.write(`${withEscapes(line)}\n`, ignore),
    note: (line) => err.write(`${withEscapes(line)}\n`, ignore),
    ask: (prompt) => err.write(prompt, ignore),
    get stdin() {
      return streams.stdin ?? Readable.from([]);
    },
  };
}

/** @throws UsageError when the file cannot be written. */
function withAudit({ options, output }: Extract<Plan, { kind: "server" }>, log: Logger): ServerOptions {
  if (output.auditLog === undefined) return options;
  return { ...options, audit: auditLog(openFile(output.auditLog, "--audit-log"), log) };
}

/** Resolves when the command is done or forced to end. @throws why it failed. */
async function carryOut(plan: RunningPlan, context: CommandContext): Promise<number> {
  const work =
    plan.kind === "server"
      ? runServer(withAudit(plan, context.log), plan.files, context)
      : runClient(plan.options, plan, context);
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

/** @throws UsageError when it cannot be one. */
function withToken(plan: RunningPlan, text: string): RunningPlan {
  const token = checkToken(text, "the token on stdin");
  plan.secrets.add(token);
  return plan.kind === "server"
    ? { ...plan, options: { ...plan.options, token } }
    : { ...plan, options: { ...plan.options, token } };
}

function openLog(
  { secrets, output }: RunningPlan,
  env: Environment,
  stderr: OutputStream,
  err: Sink,
): Logger {
  return createLog({
    level: output.logLevel,
    format: logFormatOf(output, stderr),
    color: output.logFile === undefined && stderr.isTTY === true && (env.NO_COLOR ?? "") === "",
    sink: output.logFile === undefined ? err : openFile(output.logFile, "--log-file"),
    secrets,
  });
}

/** By what a client logs in. */
function loginOf({ kind, options }: RunningPlan): "token" | "key" | "certificate" | undefined {
  if (options.token !== undefined) return "token";
  if (kind !== "client") return undefined;
  if (options.key !== undefined) return "key";
  return options.tls?.cert === undefined ? undefined : "certificate";
}

function logFormatOf({ logFormat, logFile }: OutputSettings, stderr: OutputStream): "pretty" | "json" {
  if (logFormat !== "auto") return logFormat;
  return logFile === undefined && stderr.isTTY === true ? "pretty" : "json";
}

function openFile({ path, maxBytes }: FileSettings, flag: string): RotatingFile {
  try {
    return new RotatingFile(path, maxBytes);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(
      `${flag} ${shown(path)} cannot be written (${code ?? "unknown reason"}): name a file in a directory where this user may write.`,
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
