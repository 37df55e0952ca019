import { Random } from "@culvert/chaos";
import type { CulvertProcess } from "./culvert-process.ts";
import type { Journal } from "./journal.ts";
import type { TunnelClient } from "./tunnel-client.ts";
import { pause } from "./weather.ts";
import type { World } from "./world.ts";

type Mishap =
  | "freeze"
  | "freeze, found dead"
  | "server freeze"
  | "server freeze, found dead"
  | "kill"
  | "stop"
  | "server kill"
  | "server stop";

/** What happens to processes, drawn from a seed, one after the other in each world. */
export class Mishaps {
  readonly #world: World;
  readonly #journal: Journal;
  readonly #random: Random;
  #deck: Mishap[] = [];

  constructor(world: World, journal: Journal, seed: number) {
    this.#world = world;
    this.#journal = journal;
    this.#random = new Random(seed);
  }

  /** Until told to stop; resolves when everybody is alive, awake and ready. */
  async happen(signal: AbortSignal): Promise<void> {
    const { mishapGapMs } = this.#world.settings;
    while (!signal.aborted) {
      await pause(this.#random.between(...mishapGapMs), signal);
      if (signal.aborted) return;
      await this.#doIt(this.#deal(), signal);
    }
  }

  #deal(): Mishap {
    const { mortal, isServerMortal } = this.#world.settings;
    if (this.#deck.length === 0) {
      const deck: Mishap[] = [
        "freeze",
        "freeze",
        "freeze, found dead",
        "server freeze",
        "server freeze, found dead",
      ];
      if (mortal.length > 0) deck.push("kill", "kill", "stop");
      if (isServerMortal) deck.push("server kill", "server stop");
      this.#deck = this.#random.shuffle(deck);
    }
    return this.#deck.pop()!;
  }

  async #doIt(mishap: Mishap, signal: AbortSignal): Promise<void> {
    const { server, residents, settings } = this.#world;
    const random = this.#random;
    const clients = residents.map(({ client }) => client);
    const mortal = clients.filter(({ name }) => settings.mortal.includes(name));
    const pauseMs = random.pick([0, random.between(0, 3_000)]);
    switch (mishap) {
      case "freeze": {
        const client = random.pick(clients);
        return this.#freeze(client.process, [client], random.between(...settings.forMs), signal);
      }
      case "freeze, found dead": {
        const client = random.pick(clients);
        return this.#freeze(client.process, [client], random.between(...settings.deadMs), signal);
      }
      case "server freeze":
        return this.#freeze(server, clients, random.between(...settings.forMs), signal);
      case "server freeze, found dead":
        return this.#freeze(server, clients, random.between(...settings.deadMs), signal);
      case "kill":
      case "stop": {
        const client = random.pick(mortal);
        this.#journal.trouble(
          mishap === "kill" ? "client killed" : "client stopped",
          `client ${client.name} (again after ${pauseMs} ms)`,
        );
        await client.liveAgain(mishap, pauseMs);
        return this.#ready([client]);
      }
      case "server kill":
      case "server stop":
        this.#journal.trouble(
          mishap === "server kill" ? "server killed" : "server stopped",
          `${server.name} (again after ${pauseMs} ms)`,
        );
        await this.#world.liveAgain(mishap === "server kill" ? "kill" : "stop", pauseMs);
        return this.#ready(clients);
      default:
        throw new TypeError(`no such mishap: ${String(mishap)}`);
    }
  }

  async #freeze(
    culvert: CulvertProcess,
    touched: readonly TunnelClient[],
    ms: number,
    signal: AbortSignal,
  ): Promise<void> {
    const ends = touched.map(({ troubles }) => troubles.begin(`${culvert.name} is frozen`));
    const from = performance.now();
    culvert.freeze();
    await pause(ms, signal);
    culvert.thaw();
    for (const end of ends) end();
    const kind = culvert.name.startsWith("server") ? "server frozen" : "client frozen";
    this.#journal.trouble(kind, `${culvert.name} (${((performance.now() - from) / 1000).toFixed(1)} s)`);
  }

  /** Waits until they are served again; faults of the link may delay it, nothing may prevent it. */
  async #ready(clients: readonly TunnelClient[]): Promise<void> {
    const deadline = performance.now() + 60_000;
    for (const client of clients) {
      while (!client.isReady && performance.now() < deadline) await pause(100, AbortSignal.timeout(200));
      if (client.isReady) continue;
      this.#journal.fail(`client ${client.name} is not ready again within a minute`, client.process.tail);
    }
  }
}
