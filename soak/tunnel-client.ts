import { ChaosProxy } from "@culvert/chaos";
import { CulvertProcess, type Line } from "./culvert-process.ts";
import type { Guard } from "./guard.ts";
import type { Journal } from "./journal.ts";
import type { TargetKind } from "./script.ts";
import { Troubles } from "./troubles.ts";

/** Who listens: "-L" the client, "-R" the server. */
export const MODES = ["-L", "-R"] as const;
export type Mode = (typeof MODES)[number];

/** A session that was lost, and with it its connections. */
export interface Loss {
  readonly why: string;
  readonly from: number;
  /** When everything was ready again; undefined: not yet. */
  until: number | undefined;
}

/** Codes with which a session may end in a soak. Any other one is a mistake of Culvert. */
const EXPECTED_ENDS: readonly unknown[] = [
  "session_expired",
  "session_unknown",
  "session_lost",
  "displaced",
  "shutting_down",
  "never_welcomed",
  "closed",
];

/** Of a client, what must be known to judge the connections that it carries. */
export type Carrier = Pick<TunnelClient, "name" | "troubles" | "losses" | "kills">;

export interface TunnelClientOptions {
  readonly name: string;
  readonly serverPort: number;
  readonly flags: readonly string[];
  /** Where the targets of each mode and kind listen. */
  readonly targets: readonly { readonly mode: Mode; readonly kind: TargetKind; readonly port: number }[];
  readonly seed: number;
  readonly guard: Guard;
  readonly journal: Journal;
  /** Told of each line that it writes, in any of its lives. */
  onLine(line: Line): void;
}

/** A client that lives as often as it must, under one name, and the proxy through which it reaches its server. */
export class TunnelClient {
  readonly name: string;
  readonly proxy: ChaosProxy;
  readonly troubles = new Troubles();
  /** Of the last lives, in order. */
  readonly losses: Loss[] = [];
  resumes = 0;
  sessions = 0;
  process: CulvertProcess;
  /** When the process before was killed. */
  readonly kills: number[] = [];
  readonly #options: TunnelClientOptions;
  readonly #ports = new Map<string, number>();
  #ready = new Set<string>();
  #endTrouble: () => void;

  private constructor(options: TunnelClientOptions, proxy: ChaosProxy) {
    this.#options = options;
    this.name = options.name;
    this.proxy = proxy;
    this.#endTrouble = this.troubles.begin("is not ready");
    this.process = this.#run();
  }

  /** Resolves when all its tunnels are ready. */
  static async start(options: TunnelClientOptions): Promise<TunnelClient> {
    const target = { host: "127.0.0.1", port: options.serverPort };
    const proxy = await ChaosProxy.start({ target, seed: options.seed });
    const client = new TunnelClient(options, proxy);
    await client.process.line(() => client.isReady);
    return client;
  }

  /** Where visitors come in; undefined while nobody can. */
  port(mode: Mode, kind: TargetKind): number | undefined {
    return this.isReady ? this.#ports.get(`${mode} ${kind}`) : undefined;
  }

  /** There is a session, and each tunnel listens. */
  get isReady(): boolean {
    return this.#ready.size === this.#options.targets.length;
  }

  /** Its connections are lost, or will be: from now on until it is ready again. */
  lost(why: string): void {
    this.#ready = new Set();
    this.#endTrouble();
    this.#endTrouble = this.troubles.begin(why);
    this.losses.push({ why, from: performance.now(), until: undefined });
    if (this.losses.length > 200) this.losses.shift();
  }

  /** Ends this life and, after `pauseMs`, begins the next one. */
  async liveAgain(end: "kill" | "stop", pauseMs: number): Promise<void> {
    const former = this.process;
    former.endedEarly = end === "kill" ? "killed" : "stopped";
    if (end === "kill") {
      this.lost("the client was killed");
      this.kills.push(performance.now());
      await former.kill();
    } else {
      this.lost("the client was stopped");
      const how = await former.stop();
      if (how !== 0)
        this.#options.journal.fail(`${former.name} was stopped, and ended with ${how}`, former.tail);
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    this.process = this.#run();
  }

  async close(): Promise<void> {
    await this.process.kill();
    await this.proxy.close();
  }

  #run(): CulvertProcess {
    const { name, flags, targets, guard, journal, onLine } = this.#options;
    const tunnels = targets.flatMap(({ mode, port }) => [mode, `0:127.0.0.1:${port}`]);
    const url = `ws://127.0.0.1:${this.proxy.port}`;
    const culvert = new CulvertProcess(
      `client ${name}`,
      ["client", url, "--name", name, ...tunnels, ...flags],
      guard,
    );
    culvert.onLine((line) => {
      onLine(line);
      this.#heard(line, culvert);
    });
    journal.watch(culvert);
    return culvert;
  }

  #heard(line: Line, from: CulvertProcess): void {
    if (from !== this.process) return;
    if (line.ready === "tunnel") this.#tunnelReady(line);
    else if (line.msg === "session begun") this.sessions += 1;
    else if (line.msg === "session resumed") this.resumes += 1 + Number(line.suppressed ?? 0);
    else if (line.msg === "session over") {
      const { code } = line;
      if (!EXPECTED_ENDS.includes(code)) {
        this.#options.journal.fail(`a session of client ${this.name} was over: ${code}`, from.tail);
      }
      this.lost(whyOf(code));
    }
  }

  #tunnelReady(line: Line): void {
    const mode = line.side === "local" ? "-L" : "-R";
    const target = portOf(line.target);
    const { kind } = this.#options.targets.find((one) => one.mode === mode && one.port === target) ?? {};
    if (kind === undefined) return;
    this.#ports.set(`${mode} ${kind}`, portOf(line.listen));
    this.#ready.add(`${mode} ${kind}`);
    if (!this.isReady) return;
    this.#endTrouble();
    for (const loss of this.losses) loss.until ??= performance.now();
  }
}

/** Checks the end of a session as a server tells it. */
export function isExpectedEnd(code: unknown): boolean {
  return EXPECTED_ENDS.includes(code);
}

function whyOf(code: unknown): string {
  if (code === "session_expired") return "its session outlived the grace";
  if (code === "shutting_down") return "the server was stopped";
  if (code === "closed") return "the client was stopped";
  return code === "session_lost"
    ? "the server had lost its session"
    : `its session was over: ${String(code)}`;
}

function portOf(endpoint: unknown): number {
  const text = String(endpoint);
  return Number(text.slice(text.lastIndexOf(":") + 1));
}
