import { fileURLToPath } from "node:url";
import { programPath } from "./needed-programs.ts";
import { launch, Program, type ProgramOptions } from "./program.ts";

/** The command as the workspace links it, which is what README tells people to run. */
export const COMMAND = fileURLToPath(new URL("../../../node_modules/.bin/culvert", import.meta.url));

/** A ready line in its JSON form; docs/cli.md lists them. */
export interface Ready {
  readonly ready: "server" | "client" | "tunnel";
  readonly url?: string;
  readonly server?: string;
  readonly side?: "local" | "remote";
  readonly listen?: string;
  readonly target?: string;
}

/** A line of the log in its JSON form. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly msg: string };

/** What SIGUSR2 makes a server log of itself, as far as tests look at it. */
export interface ServerReport {
  readonly sessions: number;
  readonly streams: number;
}

/** And a client of its session. */
export interface SessionReport {
  readonly state: string;
  readonly streams: number;
  readonly waitingOpens: number;
  readonly resumes: number;
  readonly replayedBytes: number;
  readonly replayBytes: number;
}

/** Where and what to wait for, see {@link Lines.waitFor}. */
interface Wait {
  readonly nth?: number;
  readonly from?: number;
  readonly withinMs?: number;
}

/** A process of the built command, with its ready lines and its log in their JSON forms. */
export class Culvert extends Program {
  /** @param args As written behind `culvert`. */
  static async run(args: readonly string[], options: Omit<ProgramOptions, "args"> = {}): Promise<Culvert> {
    const child = await launch(COMMAND, { ...options, args });
    return new Culvert(`culvert ${args[0] ?? ""}`, child);
  }

  /** Starts a server that may have so many descriptors, no more from its first moment on, and waits until it listens. */
  static async serverOf(descriptors: number): Promise<Culvert> {
    const args = [`--nofile=${descriptors}:${descriptors}`, COMMAND, "server", "--json", "--port", "0"];
    const server = new Culvert("culvert server", await launch(programPath("prlimit"), { args }));
    await server.ready("server");
    return server;
  }

  /** Starts a server and waits until it listens. Port 0 takes a free one. */
  static async server(flags: readonly string[] = [], port = 0): Promise<Culvert> {
    const server = await Culvert.run(["server", "--json", "--port", String(port), ...flags]);
    await server.ready("server");
    return server;
  }

  /** Starts a client and waits until it is connected and each of its tunnels is ready. */
  static async client(url: string, flags: readonly string[]): Promise<Culvert> {
    const client = await Culvert.run(["client", url, "--json", ...flags]);
    await client.allReady(flags);
    return client;
  }

  /** Waits until a client is connected and each tunnel of `flags` is ready. */
  async allReady(flags: readonly string[], from = 0): Promise<void> {
    const tunnels = flags.filter((flag) => flag === "-L" || flag === "-R").length;
    await this.ready("client", { from });
    await this.ready("tunnel", { from, nth: tunnels });
  }

  /** Waits for a ready line. */
  async ready(kind: Ready["ready"], wait: Wait = {}): Promise<Ready & { readonly at: number }> {
    const { text, at } = await this.stdout.waitFor(`{"ready":"${kind}"`, wait);
    return { ...(JSON.parse(text) as Ready), at };
  }

  /** Of a server that is ready. */
  get url(): string {
    const [line] = this.stdout.all('{"ready":"server"');
    return (JSON.parse(line!.text) as { url: string }).url;
  }

  /** The port of a server that is ready. */
  get port(): number {
    return Number(new URL(this.url).port);
  }

  /** The ports of the tunnels of a client, in the order in which they became ready first. */
  get tunnelPorts(): number[] {
    const ports = this.stdout.all('{"ready":"tunnel"').map(({ text }) => {
      const { listen } = JSON.parse(text) as { listen: string };
      return Number(/\d+$/.exec(listen)?.[0]);
    });
    return [...new Set(ports)];
  }

  /** Waits for a line of the log with this message. */
  async logged(msg: string, wait: Wait = {}): Promise<LogLine & { readonly at: number }> {
    const { text, at } = await this.stderr.waitFor(`"msg":"${msg}"`, wait);
    return { ...(JSON.parse(text) as LogLine), at };
  }

  /** Asks a server for its own figures. */
  async serverReport(): Promise<ServerReport> {
    return (await this.#report("state of the server")) as LogLine & ServerReport;
  }

  /** Asks a client for the figures of its session. */
  async sessionReport(): Promise<SessionReport> {
    return (await this.#report("state of the session")) as LogLine & SessionReport;
  }

  async #report(msg: string): Promise<LogLine> {
    const from = this.stderr.count;
    this.kill("SIGUSR2");
    return await this.logged(msg, { from });
  }
}
