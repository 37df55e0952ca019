import { once } from "node:events";
import { createServer } from "node:net";

/**
 * Below the range from which Linux takes the local ports of outgoing connections (32768 on): between the choice and the
 * peer's bind(2) none of the thousands of connections of a run can get it.
 */
const FIRST = 20_000;
const LAST = 32_000;

let next = FIRST + Math.floor(Math.random() * (LAST - FIRST));

/** A port of 127.0.0.1 that nobody has, and that this process gives to nobody else soon. */
export async function freePort(): Promise<number> {
  for (let tries = FIRST; tries < LAST; tries += 1) {
    next = next >= LAST ? FIRST : next + 1;
    const probe = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      probe.once("error", () => resolve(false));
      probe.listen(next, () => resolve(true));
    });
    if (!isFree) continue;
    const port = next;
    probe.close();
    await once(probe, "close");
    return port;
  }
  throw new Error(`no port from ${FIRST} to ${LAST} is free`);
}

export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) ports.push(await freePort());
  return ports;
}
