import { once } from "node:events";
import { createServer } from "node:net";
import process from "node:process";

/** Below those that systems give to whoever asks for any: no connection takes one between this answer and its use. */
const FIRST = 10_000;
const PORTS = 22_768;
/** Test files run side by side, each with ports of its own; another run on this machine most likely has others. */
const SHARE = 512;
const SHARES = Math.floor(PORTS / SHARE);

const start = FIRST + ((process.ppid + Number(process.env.VITEST_POOL_ID ?? 0)) % SHARES) * SHARE;
let next = Math.floor(Math.random() * SHARE);

/** An address of loopback where nobody listens, whoever else runs tests here. */
export const NOBODY = "127.0.0.1:1";

/** A port of loopback that was free a moment ago: nobody listens there, and nobody is told of it a second time soon. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < SHARE; tries += 1) {
    const port = start + (next % SHARE);
    next += 1;
    if (await isFree(port)) return port;
  }
  throw new Error(`none of the ports from ${start} on is free`);
}

/** The same as an address to listen at, for whoever is to have it again after a while in which nobody listened. */
export async function freeAddress(): Promise<string> {
  return `127.0.0.1:${await freePort()}`;
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    // Everywhere, as some who are given it listen.
    server.listen(port);
    await once(server, "listening");
  } catch {
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}
