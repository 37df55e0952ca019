import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { LinkSettings, Tunnel } from "../tunnel.ts";
import { connected, oneByte } from "../visitor.ts";
import type { Step } from "./step.ts";

const CONNECTIONS = 16;
/** A connection that has not answered by then is lost; a tunnel that takes none by then stays away. */
const PATIENCE_MS = 10_000;
/** Fast, and only there to be cut. */
const LINK: LinkSettings = { delayMs: 0, bytesPerSecond: 10e9 / 8, lossRate: 0 };

const SECTION = `The link is cut once (reset), with ${CONNECTIONS} connections open`;

async function isAlive(socket: Socket): Promise<boolean> {
  const late = sleep(PATIENCE_MS, false, { ref: false });
  const answer = oneByte(socket).then(
    () => true,
    () => false,
  );
  return Promise.race([answer, late]);
}

/** Seconds from `since` until a new connection carries a byte; undefined when none does. */
async function nextVisitor(port: number, since: number, signal: AbortSignal): Promise<number | undefined> {
  while (performance.now() - since < PATIENCE_MS) {
    try {
      const socket = await connected(port, AbortSignal.any([signal, AbortSignal.timeout(2_000)]));
      try {
        await oneByte(socket);
        return (performance.now() - since) / 1000;
      } finally {
        socket.destroy();
      }
    } catch {
      signal.throwIfAborted();
      await sleep(50);
    }
  }
  return undefined;
}

async function survive(tunnel: Tunnel, signal: AbortSignal): Promise<readonly (number | undefined)[]> {
  const port = tunnel.ports.echo;
  const sockets: Socket[] = [];
  try {
    for (let i = 0; i < CONNECTIONS; i += 1) sockets.push(await connected(port, signal));
    await Promise.all(sockets.map(oneByte));
    const since = performance.now();
    if ((await tunnel.cut()) === 0) throw new Error("there was no connection to cut");
    const [alive, back] = await Promise.all([
      Promise.all(sockets.map(isAlive)),
      nextVisitor(port, since, signal),
    ]);
    return [alive.filter((it) => !it).length, back];
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

export const SURVIVAL_STEP: Step = {
  figures: [
    {
      id: "survival-lost",
      measure: "survival",
      section: SECTION,
      title: "connections lost",
      unit: "",
      better: "lower",
      digits: 0,
      noRatio: true,
    },
    {
      id: "survival-back",
      measure: "survival",
      section: SECTION,
      title: `until a new one works (-: not within ${PATIENCE_MS / 1000} s)`,
      unit: "s",
      better: "lower",
      digits: 2,
      noRatio: true,
    },
  ],
  seconds: 5,
  maxSeconds: 60,
  run: (context) => context.withTunnel({ link: LINK }, (tunnel) => survive(tunnel, context.signal)),
};
