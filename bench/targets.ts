import { once } from "node:events";
import { join } from "node:path";
import { IperfServer } from "./iperf.ts";
import { Program } from "./program.ts";

/** Ports that tunnels lead to: one for each kind of conversation. */
export interface TargetPorts {
  /** Sends back what comes. */
  readonly echo: number;
  /** iperf3's server. */
  readonly iperf: number;
  /** Answers only when the visitor has ended its direction. */
  readonly answer: number;
  /** Sends as many bytes as it is asked for. */
  readonly serve: number;
}

export type TargetName = keyof TargetPorts;

/** The echo first: a tunnel is ready when its first forward answers. */
export const TARGET_NAMES: readonly TargetName[] = ["echo", "iperf", "answer", "serve"];

/** The processes behind {@link TargetPorts}. */
export class Targets {
  readonly ports: TargetPorts;
  readonly #program: Program;
  readonly #iperf: IperfServer;

  private constructor(ports: TargetPorts, program: Program, iperf: IperfServer) {
    this.ports = ports;
    this.#program = program;
    this.#iperf = iperf;
  }

  static async start(): Promise<Targets> {
    const iperf = await IperfServer.start();
    const program = new Program(process.execPath, [join(import.meta.dirname, "targets-process.ts")], {
      ipc: true,
    });
    const [message] = (await Promise.race([
      once(program.child, "message"),
      program.ended.then(() => program.check()),
    ])) as [Omit<TargetPorts, "iperf">];
    return new Targets({ ...message, iperf: iperf.port }, program, iperf);
  }

  async stop(): Promise<void> {
    await Promise.all([this.#program.stop(), this.#iperf.stop()]);
  }
}
