import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";

/** A TCP service, on a free port if none is said, that sends back what it gets, and remembers who came. */
export class EchoService {
  readonly connections: Socket[] = [];
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(host = "127.0.0.1", port = 0): Promise<EchoService> {
    const server = createServer({ allowHalfOpen: true });
    const echo = new EchoService(server);
    server.on("connection", (socket) => {
      echo.connections.push(socket);
      socket.on("error", () => undefined);
      socket.pipe(socket);
    });
    server.listen(port, host);
    await once(server, "listening");
    return echo;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.connections) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}
