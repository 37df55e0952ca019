import { Random } from "@culvert/chaos";
import { CulvertProcess, type Line } from "./culvert-process.ts";
import type { Guard } from "./guard.ts";
import type { Journal } from "./journal.ts";
import type { WorldSettings } from "./settings.ts";
import { Targets } from "./targets.ts";
import { type Carrier, isExpectedEnd, MODES, type Mode, TunnelClient } from "./tunnel-client.ts";

/** How often a server is started again when somebody has taken its port meanwhile. */
const START_ATTEMPTS = 10;

/** A client with what it leads to. */
export interface Resident {
  readonly client: TunnelClient;
  readonly targets: Targets;
}

/** A server that lives as often as it must, on one port, with its clients. */
export class World {
  readonly settings: WorldSettings;
  readonly residents: Resident[] = [];
  /** When a server was killed. */
  readonly serverKills: number[] = [];
  server: CulvertProcess;
  readonly #guard: Guard;
  readonly #journal: Journal;
  #port = 0;
  /** What the listening side says of visitors whom it reset: codes by their ports, newest last. */
  readonly #codes = new Map<string, string>();

  private constructor(settings: WorldSettings, guard: Guard, journal: Journal) {
    this.settings = settings;
    this.#guard = guard;
    this.#journal = journal;
    this.server = this.#run();
  }

  /** Resolves when everything is ready. */
  static async start(settings: WorldSettings, seed: number, guard: Guard, journal: Journal): Promise<World> {
    const world = new World(settings, guard, journal);
    const { url } = await world.server.line(({ ready }) => ready === "server");
    world.#port = Number(new URL(String(url)).port);
    const random = new Random(seed);
    for (const name of settings.clients) {
      const targets = await Targets.listen(MODES);
      const client = await TunnelClient.start({
        name,
        serverPort: world.#port,
        flags: settings.clientFlags,
        targets: targets.list,
        seed: random.uint32(),
        guard,
        journal,
        onLine: (line) => world.#heard(line),
      });
      world.residents.push({ client, targets });
    }
    return world;
  }

  get processes(): CulvertProcess[] {
    return [this.server, ...this.residents.map(({ client }) => client.process)];
  }

  /** The code with which the listening side reset a visitor from this port. */
  codeOf(port: number | undefined): string | undefined {
    return port === undefined ? undefined : this.#codes.get(String(port));
  }

  /** Was a process that holds sockets of this side of the mode killed since `from`? */
  isBereft(client: Carrier, side: "visitor" | "host", mode: Mode, from: number): boolean {
    const isClient = (side === "visitor") === (mode === "-L");
    return (isClient ? client.kills : this.serverKills).some((at) => at >= from);
  }

  /** Ends the server's life and, after `pauseMs`, begins the next one. */
  async liveAgain(end: "kill" | "stop", pauseMs: number): Promise<void> {
    const former = this.server;
    former.endedEarly = end === "kill" ? "killed" : "stopped";
    for (const { client } of this.residents) {
      client.lost(end === "kill" ? "the server was killed" : "the server was stopped");
    }
    if (end === "kill") {
      this.serverKills.push(performance.now());
      await former.kill();
    } else {
      const how = await former.stop();
      if (how !== 0) this.#journal.fail(`${former.name} was stopped, and ended with ${how}`, former.tail);
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    await this.#startAgain();
  }

  async close(): Promise<void> {
    await Promise.all(this.residents.map(({ client }) => client.close()));
    await this.server.kill();
    await Promise.all(this.residents.map(({ targets }) => targets.close()));
  }

  async #startAgain(): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      this.server = this.#run();
      // Its port was free for a while, and others take ports, too: then it ends at once, and has another try.
      this.server.stoppedAt = performance.now();
      const isReady = await this.server
        .line(({ ready }) => ready === "server")
        .then(
          () => true,
          () => false,
        );
      this.server.stoppedAt = undefined;
      if (isReady) return;
      if (attempt === START_ATTEMPTS) throw new Error(`${this.server.name} cannot be started again`);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  #run(): CulvertProcess {
    const { name, serverFlags } = this.settings;
    const args = ["server", "--port", String(this.#port), ...serverFlags];
    const server = new CulvertProcess(`server ${name}`, args, this.#guard);
    server.onLine((line) => {
      this.#heard(line);
      if (line.msg === "session ended") this.#sessionEnded(line, server);
    });
    this.#journal.watch(server);
    return server;
  }

  #heard(line: Line): void {
    if (line.msg !== "visitor reset") return;
    const port = /:(\d+)$/.exec(String(line.visitor))?.[1];
    if (port === undefined) return;
    this.#codes.delete(port);
    this.#codes.set(port, String(line.code));
    if (this.#codes.size > 5_000) this.#codes.delete(this.#codes.keys().next().value ?? "");
  }

  /** The server may know of it long before the client does. */
  #sessionEnded(line: Line, server: CulvertProcess): void {
    const { code } = line;
    if (!isExpectedEnd(code)) this.#journal.fail(`a session ended at ${server.name}: ${code}`, server.tail);
    const { client } = this.residents.find((one) => one.client.name === line.client) ?? {};
    const now = performance.now();
    client?.losses.push({ why: whyOf(code), from: now, until: now });
  }
}

function whyOf(code: unknown): string {
  switch (code) {
    case "session_expired":
      return "its session outlived the grace";
    case "displaced":
      return "the client was killed";
    case "shutting_down":
      return "the server was stopped";
    case "closed":
      return "the client was stopped";
    default:
      return `its session ended: ${String(code)}`;
  }
}
