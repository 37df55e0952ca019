import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { type Endpoint, formatEndpoint, parseEndpoint } from "@culvert/protocol";
import { soon, until } from "./deadline.ts";
import { WireEnd } from "./wire-end.ts";

/** Who listens where a tunnel dials: keeps every connection it got, and does with them what the test says. */
export class Service implements AsyncDisposable {
  /** What a tunnel is given as `connect`. */
  readonly address: string;
  /** Everyone who ever came, in the order of arrival. */
  readonly visitors: WireEnd[] = [];
  readonly #server: Server;
  #taken = 0;
  readonly #sockets = new Set<Socket>();
  #remembers = true;

  private constructor(server: Server, address: string) {
    this.#server = server;
    this.address = address;
  }

  /** @param onVisitor Called with each connection, whose bytes are being read. */
  static async start(
    onVisitor: (visitor: WireEnd) => void = () => undefined,
    listen = "127.0.0.1:0",
  ): Promise<Service> {
    const endpoint = parseEndpoint(listen);
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    server.listen(endpoint.scheme === "unix" ? { path: endpoint.path } : { ...endpoint, backlog: 2048 });
    await once(server, "listening");
    const service = new Service(server, formatEndpoint(boundTo(server, endpoint)));
    server.on("connection", (socket) => {
      const visitor = new WireEnd(socket);
      if (service.#remembers) service.visitors.push(visitor);
      service.#sockets.add(socket);
      socket.once("close", () => service.#sockets.delete(socket));
      onVisitor(visitor);
    });
    return service;
  }

  /** Sends back what it gets, and the end behind it. */
  static echo(listen?: string): Promise<Service> {
    return Service.start(({ socket }) => socket.pipe(socket), listen);
  }

  /** Connections that are open. */
  get open(): number {
    return this.#sockets.size;
  }

  /** Keeps nobody who comes from now on: for so many that a list of them would be all that is measured. */
  forgets(): void {
    this.#remembers = false;
  }

  /** The next connection that nobody has taken yet. */
  async next(): Promise<WireEnd> {
    const index = this.#taken;
    this.#taken += 1;
    await until(() => this.visitors.length > index, `visitor ${index + 1} at ${this.address}`);
    return this.visitors[index] as WireEnd;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    const closed = new Promise((resolve) => this.#server.close(resolve));
    await soon(closed, `${this.address} is closed`);
  }
}

function boundTo(server: Server, asked: Endpoint): Endpoint {
  if (asked.scheme === "unix") return asked;
  return { scheme: "tcp", host: asked.host, port: (server.address() as AddressInfo).port };
}
