import { setTimeout as pause } from "node:timers/promises";
import { ChaosPlan, ChaosProxy, Random } from "@culvert/chaos";
import { Client, LISTEN } from "@culvert/client";
import { Server } from "@culvert/server";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../support/deadline.ts";
import { freePort } from "../support/free-port.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { Service } from "../support/service.ts";
import { QUICK_RETRY } from "../support/tunnel-fixture.ts";
import { WireEnd } from "../support/wire-end.ts";

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

const KEEPALIVE = { pingIntervalMs: 100, silenceMs: 1500 };

/** One of two clients that want the same name and the same port. */
interface Contender {
  readonly client: Client;
  readonly port: number;
}

/** Starts, closes and visits at random until told to stop; what fails then is nobody's fault. */
async function live({ client, port }: Contender, random: Random, stopped: AbortSignal): Promise<void> {
  while (!stopped.aborted) {
    const draw = random.between(1, 10);
    if (client.state === "closed" && draw <= 5) {
      await client.start({ signal: AbortSignal.timeout(random.between(50, 2000)) }).catch(() => undefined);
    } else if (draw === 1) await client.close({ drainMs: random.between(0, 50) });
    else if (draw <= 3) await visit(port).catch(() => undefined);
    else await pause(random.between(0, 60));
  }
}

async function visit(port: number): Promise<string> {
  const visitor = await WireEnd.connect(`127.0.0.1:${port}`);
  try {
    return await visitor.ask("is anybody there?");
  } finally {
    visitor.socket.destroy();
  }
}

/** A server that is closed and made again now and then, always on the same port. */
class MortalServer {
  readonly #options: { readonly port: number; readonly session: object };
  #server: Server;

  constructor(port: number, graceMs: number) {
    this.#options = { port, session: { ...KEEPALIVE, graceMs, visitorWaitMs: 300 } };
    this.#server = new Server({ ...this.#options, drainMs: 0 });
  }

  get current(): Server {
    return this.#server;
  }

  async dieAndRise(drainMs: number): Promise<void> {
    await this.#server.close({ drainMs });
    this.#server = new Server({ ...this.#options, drainMs: 0 });
    await this.#server.start();
  }
}

describe("clients that displace each other, start and stop at random, while link and server come and go", () => {
  it.each([1, 2])(
    "in the end one of each name serves its port, and nothing is left of the others (seed %i)",
    async (seed) => {
      const random = new Random(seed);
      await using service = await Service.echo();
      const mortal = new MortalServer(await freePort(), random.pick([100, 500, 5000]));
      await mortal.current.start();
      const target = { host: "127.0.0.1", port: mortal.current.address?.port ?? 0 };
      await using proxy = await ChaosProxy.start({ target, seed });
      const contenders: Contender[] = [];
      for (const name of ["a", "a", "b", "b", "c", "c"]) {
        const port = contenders.length % 2 === 1 ? (contenders.at(-1)?.port ?? 0) : await freePort();
        const client = new Client({
          server: `ws://127.0.0.1:${proxy.port}/`,
          name,
          retry: { ...QUICK_RETRY, connectTimeoutMs: 1000 },
          drainMs: 0,
          session: KEEPALIVE,
          tunnels: [{ mode: LISTEN, listen: `127.0.0.1:${port}`, connect: service.address }],
        });
        contenders.push({ client, port });
      }

      const stop = new AbortController();
      const lives = contenders.map((contender, n) => live(contender, random.derive(n), stop.signal));
      const plan = ChaosPlan.random(seed, {
        count: 20,
        kinds: ["rst", "fin", "cutAfter", "refuse", "stall", "blackhole"],
        gapMs: [20, 150],
        forMs: [20, 200],
        cutBytes: [1, 3000],
      });
      const weather = proxy.run(plan);
      for (let n = 0; n < 3; n += 1) {
        await pause(random.between(300, 900));
        await mortal.dieAndRise(random.between(0, 100));
      }
      await weather;
      stop.abort();
      await Promise.all(lives);

      const chosen = contenders.filter((_, n) => n % 2 === 0);
      await Promise.all(contenders.map(({ client }) => client.close()));
      await Promise.all(chosen.map(({ client }) => client.start()));
      for (const { client, port } of chosen) {
        await until(() => client.tunnels[0]?.state === "ready", "the tunnel is ready");
        expect(await visit(port)).toBe("is anybody there?");
      }
      await until(() => mortal.current.sessions().length === chosen.length, "one session a name");
      for (const { client } of chosen) await client.close();
      await until(() => mortal.current.sessions().length === 0, "no session is left");
      await mortal.current.close();
    },
  );
});
