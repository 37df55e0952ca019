import process from "node:process";
import { run } from "./run.ts";
import { raiseThreadPool } from "./thread-pool.ts";

const FLUSH_MS = 1000;

raiseThreadPool(process.env);
const exitCode = await run(process.argv.slice(2), process.env, process, process);
await Promise.race([
  Promise.all([flushed(process.stdout), flushed(process.stderr)]),
  new Promise((resolve) => setTimeout(resolve, FLUSH_MS)),
]);
// Not `process.exitCode`: after a crash or a second signal, sockets and timers are still there.
process.exit(exitCode);

/** Resolves when what was written has left the process, or cannot. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => void stream.write("", () => resolve()));
}
