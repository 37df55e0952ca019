import type { ChaosProxy } from "@culvert/chaos";
import type { Actor } from "./actor.ts";
import { MISCHIEF, type Mischief } from "./mischief.ts";
import type { Progress } from "./progress.ts";
import type { Screen } from "./screen.ts";
import { msText } from "./units.ts";

/** Spreads the mischief evenly over the transfers. Resolves when all is done and the WebSocket is there again. */
export async function sabotage(
  proxy: ChaosProxy,
  client: Actor,
  progress: Progress,
  screen: Screen,
): Promise<void> {
  for (const [index, mischief] of MISCHIEF.entries()) {
    await progress.reaches((index + 1) / (MISCHIEF.length + 1));
    const startedAt = performance.now();
    await overcome(mischief, proxy, client);
    const took = msText(performance.now() - startedAt);
    const end = mischief.deaths === 0 ? `it waited ${took}` : `back after ${took}`;
    screen.step(`  ${mischief.text.padEnd(46)} ${screen.style("green", end)}`);
  }
}

/** Does it, and waits until the client is back. */
async function overcome({ act, deaths }: Mischief, proxy: ChaosProxy, client: Actor): Promise<void> {
  const isBack = times(deaths, client);
  await act(proxy, client);
  await isBack;
}

/** Resolves when the client has come back this many times from now on. */
async function times(count: number, client: Actor): Promise<void> {
  for (let seen = 0; seen < count; seen++) await client.next("open");
}
