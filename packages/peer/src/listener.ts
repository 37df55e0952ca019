import { lstat, unlink } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { CulvertError, type Endpoint, type ErrorCode, formatEndpoint } from "@culvert/protocol";
import { CARRIED_SOCKET, ignoreError, resetSocket } from "./carried-socket.ts";
import type { RoomShare } from "./fair-room.ts";
import { type Logger, silentLogger } from "./logger.ts";
import type { LookupShare } from "./lookup-share.ts";
import { lookupAddresses } from "./name-lookup.ts";
import { codeOf } from "./system-error.ts";

/** Somebody who connected to a listener. */
export interface Visitor {
  /** Paused, half-open allowed, TCP_NODELAY; carries an 'error' listener that does nothing. Who is called owns it. */
  readonly socket: Socket;
  /** Where the visitor comes from, as endpoint text; for a Unix socket, whose visitors have no address, the listener's. */
  readonly address: string;
}

export interface ListenerOptions {
  /** Visitors whose sockets may be open at once; further ones are reset. Default: as many as there are descriptors. */
  readonly maxVisitors?: number;
  /** Where the listener and its visitors count; visitors beyond it are reset. Default: they are not bounded. */
  readonly sockets?: RoomShare | undefined;
  /** Whose question the name to listen on is; default: nobody's, see {@link LookupShare}. */
  readonly lookupShare?: LookupShare | undefined;
  /**
   * Called with the one IP address that is bound next, also when a name was asked for; what it throws refuses it. Not called for
   * a Unix socket.
   */
  readonly beforeBind?: ((address: string) => void) | undefined;
  readonly logger?: Logger;
}

/** Accepts visitors at an endpoint, until it is closed. Nothing that happens to a visitor or an accept ends it. */
export class Listener {
  /** Where it really listens: the address that a name stood for, the port that was free. */
  readonly address: Endpoint;
  readonly #server: Server;
  readonly #sockets: RoomShare | undefined;
  #closed: Promise<void> | undefined;

  private constructor(server: Server, address: Endpoint, sockets: RoomShare | undefined) {
    this.#server = server;
    this.address = address;
    this.#sockets = sockets;
  }

  /**
   * Listens at `endpoint`. A name is resolved to one address, an IPv4 one if there is one. The file of a Unix socket
   * is made with the umask's rights; one that nobody listens on any more is replaced.
   *
   * @throws CulvertError (as a rejection) `address_in_use`, `address_unavailable`, `address_forbidden`, `bind_failed`, with
   * the system's error as its cause; `resource_exhausted` when too many names are being looked up, or `sockets` is full; what
   * `beforeBind` throws.
   */
  static async listen(
    endpoint: Endpoint,
    onVisitor: (visitor: Visitor) => void,
    options: ListenerOptions = {},
  ): Promise<Listener> {
    const { sockets } = options;
    if (sockets?.enter() === false)
      throw new CulvertError("resource_exhausted", `${formatEndpoint(endpoint)}: too many sockets are open`);
    const server = createServer({ ...CARRIED_SOCKET, pauseOnConnect: true });
    try {
      await bind(server, endpoint, options);
    } catch (error) {
      sockets?.leave();
      throw error instanceof CulvertError ? error : listenError(endpoint, error);
    }
    const address = addressOf(server);
    const complain = rarely(options.logger ?? silentLogger);
    server.on("error", (error) => complain({ code: codeOf(error) }, "a visitor could not be accepted"));
    let present = 0;
    const left = (): void => {
      present -= 1;
      sockets?.leave();
    };
    server.on("connection", (socket) => {
      socket.on("error", ignoreError);
      if (present === options.maxVisitors) {
        complain({ maxVisitors: present }, "too many visitors");
        resetSocket(socket); // a mere close would look like an empty answer
        return;
      }
      // One that waits in here would take the descriptor of a WebSocket.
      if (sockets?.enter() === false) {
        complain({}, "too many sockets, a visitor is turned away");
        resetSocket(socket);
        return;
      }
      present += 1;
      socket.on("close", left);
      const visitorAddress = visitorOf(socket, address);
      // Without an address: it was reset before it could be accepted.
      if (visitorAddress === undefined) socket.destroy();
      else onVisitor({ socket, address: visitorAddress });
    });
    return new Listener(server, address, sockets);
  }

  /**
   * Stops accepting; the address is free and the file of a Unix socket removed when this resolves. Visitors stay: they
   * belong to whoever was given them. Calling it again does nothing more.
   */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      // Its callback would wait for the last visitor to leave; the listening socket itself is closed at once.
      this.#server.close();
      this.#sockets?.leave();
      setImmediate(resolve);
    });
    return this.#closed;
  }
}

async function bind(server: Server, endpoint: Endpoint, options: ListenerOptions): Promise<void> {
  if (endpoint.scheme === "tcp") {
    const host = await addressFor(endpoint.host, options.lookupShare);
    options.beforeBind?.(host);
    await listen(server, { host, port: endpoint.port, backlog: BACKLOG });
    return;
  }
  const { path } = endpoint;
  try {
    await listen(server, { path, backlog: BACKLOG });
  } catch (error) {
    const code = codeOf(error);
    // libuv says EACCES also where the system said ENOENT.
    if (code === "EACCES" && !(await exists(dirname(path)))) {
      throw new CulvertError("address_unavailable", `there is no folder ${dirname(path)}`, { cause: error });
    }
    if (code !== "EADDRINUSE" || !(await removeStale(path))) throw error;
    await listen(server, { path, backlog: BACKLOG });
  }
}

async function addressFor(host: string, share: LookupShare | undefined): Promise<string> {
  const addresses = await lookupAddresses(host, AbortSignal.timeout(LOOKUP_MS), { share });
  return (addresses.find(({ family }) => family === 4) ?? addresses[0]!).address;
}

function listen(server: Server, options: Parameters<Server["listen"]>[0] & object): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(options, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/**
 * Removes the file that a listener left behind which did not end in good order. Only a socket, and only one that refuses
 * connections; whatever else is there is not ours to remove. True: it is worth trying again.
 */
async function removeStale(path: string): Promise<boolean> {
  const before = await lstat(path).catch(() => undefined);
  if (before === undefined) return true;
  if (!before.isSocket()) {
    throw new CulvertError(
      "address_in_use",
      `unix://${path} is a file and not a socket; choose another path`,
    );
  }
  if (await isAlive(path)) return false;
  // Another process may be doing the same and be listening by now.
  const now = await lstat(path).catch(() => undefined);
  if (now?.ino === before.ino) await unlink(path);
  return true;
}

async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined;
}

function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    // Only a refusal proves that nobody listens: no rights or a full backlog do not.
    socket.once("error", (error) => resolve(codeOf(error) !== "ECONNREFUSED"));
  });
}

function addressOf(server: Server): Endpoint {
  const address = server.address() as AddressInfo | string;
  if (typeof address === "string") return { scheme: "unix", path: address };
  return { scheme: "tcp", host: address.address, port: address.port };
}

function visitorOf(socket: Socket, listener: Endpoint): string | undefined {
  if (listener.scheme === "unix") return formatEndpoint(listener);
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress === undefined || remotePort === undefined) return undefined;
  // A listener on :: shows IPv4 visitors as IPv6 (RFC 4291 section 2.5.5.2); the zone of a link-local one is our business.
  const host = remoteAddress.replace(/^::ffff:(?=[0-9.]+$)/i, "").replace(/%.*$/, "");
  return formatEndpoint({ scheme: "tcp", host, port: remotePort });
}

function listenError(endpoint: Endpoint, cause: unknown): CulvertError {
  const code = codeOf(cause);
  return new CulvertError(CODES[code] ?? "bind_failed", `${formatEndpoint(endpoint)} (${code})`, { cause });
}

/** One warning in ten seconds: thousands of visitors may be turned away in one. */
function rarely(logger: Logger): Logger["warn"] {
  let quietUntil = 0;
  return (fields, message) => {
    const now = performance.now();
    if (now < quietUntil) return;
    quietUntil = now + QUIET_MS;
    logger.warn(fields, message);
  };
}

const CODES: Readonly<Record<string, ErrorCode>> = {
  EADDRINUSE: "address_in_use",
  EADDRNOTAVAIL: "address_unavailable",
  EAFNOSUPPORT: "address_unavailable",
  ENOTFOUND: "address_unavailable",
  EAI_AGAIN: "address_unavailable",
  ENOTDIR: "address_unavailable",
  EACCES: "address_forbidden",
  EPERM: "address_forbidden",
  EROFS: "address_forbidden",
};

/** Connections that wait to be accepted; the kernel lowers it to net.core.somaxconn. Node's 511 is soon full in a burst. */
const BACKLOG = 4096;
const LOOKUP_MS = 10_000;
const QUIET_MS = 10_000;
