import { Culvert } from "./culvert.ts";

/** Listening on the client's side and on the server's, by their flags. */
export const MODES = ["-L", "-R"] as const;
export type ModeFlag = (typeof MODES)[number];

export interface TunnelRigOptions {
  readonly serverFlags?: readonly string[];
  readonly clientFlags?: readonly string[];
  /** Puts something between client and server: given the server's port, the port for the client. */
  readonly via?: (serverPort: number) => Promise<number>;
}

/** A server and a client with one tunnel. Leaving its scope (`await using`) kills both. */
export class TunnelRig implements AsyncDisposable {
  readonly server: Culvert;
  readonly client: Culvert;
  /** Where visitors come in. */
  readonly port: number;

  private constructor(server: Culvert, client: Culvert) {
    this.server = server;
    this.client = client;
    this.port = client.tunnelPorts[0]!;
  }

  /** Resolves when the tunnel is ready. */
  static async open(mode: ModeFlag, targetPort: number, options: TunnelRigOptions = {}): Promise<TunnelRig> {
    const server = await Culvert.server(options.serverFlags);
    const port = (await options.via?.(server.port)) ?? server.port;
    const tunnel = [mode, `0:127.0.0.1:${targetPort}`];
    const client = await Culvert.client(`ws://127.0.0.1:${port}`, [
      ...tunnel,
      ...(options.clientFlags ?? []),
    ]);
    return new TunnelRig(server, client);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.client[Symbol.asyncDispose](), this.server[Symbol.asyncDispose]()]);
  }
}
