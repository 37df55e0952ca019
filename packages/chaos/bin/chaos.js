#!/usr/bin/env node
// Committed, not built: it is run from the repository, as `node packages/chaos/bin/chaos.js`. Build first.
import { run } from "../dist/command.js";

const ended = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => ended.abort());
const { stdout, stderr } = process;
process.exitCode = await run(process.argv.slice(2), { stdout, stderr, signal: ended.signal });
