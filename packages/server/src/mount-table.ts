import type { Server as HttpServer, IncomingMessage, ServerResponse } from "node:http";
import type { Server as HttpsServer } from "node:https";
import type { Duplex } from "node:stream";
import { CulvertError } from "@culvert/protocol";
import { pathOf } from "./request-path.ts";

/** An HTTP server that somebody else owns. */
export type MountableServer = HttpServer | HttpsServer;

/** What answers for one path. */
export interface Mount {
  onRequest(request: IncomingMessage, response: ServerResponse): void;
  onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

type Emit = MountableServer["emit"];
type ShouldUpgrade = (this: MountableServer, request: IncomingMessage) => boolean;
/** Since Node 24.9; not in the type of the instance. */
type WithCallback = { shouldUpgradeCallback?: ShouldUpgrade };

/** One table for each HTTP server, so that several tunnel servers can be mounted on it side by side. */
const TABLES = new WeakMap<MountableServer, MountTable>();

/**
 * The paths of somebody else's HTTP server that are answered here; everything else there stays as it is.
 *
 * Adding listeners would not do: every 'request' listener answers every request (a framework answers 404), and a
 * WebSocket server that is attached for another path closes the upgrades of all others. So the server's `emit` is
 * wrapped, and events for our paths reach nobody else.
 */
export class MountTable {
  readonly #server: MountableServer;
  readonly #mounts = new Map<string, Mount>();
  readonly #unhook: () => void;

  private constructor(server: MountableServer) {
    this.#server = server;
    const unhookEmit = this.#hookEmit();
    const unhookUpgrade = this.#hookUpgrade();
    this.#unhook = () => {
      unhookEmit();
      unhookUpgrade();
    };
  }

  /**
   * Answers `path` of `server` with `mount`. Returns what takes it back.
   * @throws CulvertError `invalid_option` when the path is taken.
   */
  static add(server: MountableServer, path: string, mount: Mount): () => void {
    const table = TABLES.get(server) ?? new MountTable(server);
    if (table.#mounts.has(path)) throw new CulvertError("invalid_option", `path ${path} is mounted already`);
    TABLES.set(server, table);
    table.#mounts.set(path, mount);
    return () => {
      if (table.#mounts.get(path) === mount) table.#remove(path);
    };
  }

  #remove(path: string): void {
    this.#mounts.delete(path);
    if (this.#mounts.size > 0) return;
    TABLES.delete(this.#server);
    this.#unhook();
  }

  #find(request: unknown): Mount | undefined {
    return this.#mounts.get(pathOf(request as IncomingMessage));
  }

  /** Takes the events of our paths out of the stream of events. */
  #hookEmit(): () => void {
    const server = this.#server;
    const original = server.emit as (
      this: MountableServer,
      event: string | symbol,
      ...args: unknown[]
    ) => boolean;
    const hadOwn = Object.hasOwn(server, "emit");
    const emit = (event: string | symbol, ...args: unknown[]): boolean => {
      if (event === "request" || event === "checkContinue" || event === "checkExpectation") {
        const mount = this.#find(args[0]);
        if (mount !== undefined) {
          mount.onRequest(args[0] as IncomingMessage, args[1] as ServerResponse);
          return true;
        }
      } else if (event === "upgrade") {
        const mount = this.#find(args[0]);
        if (mount !== undefined) {
          mount.onUpgrade(args[0] as IncomingMessage, args[1] as Duplex, args[2] as Buffer);
          return true;
        }
        // With no handler Node destroys the socket; our own listener must not make it look handled, and open for ever.
        if (server.listenerCount("upgrade") === 1) (args[1] as Duplex).destroy();
      }
      return original.call(server, event, ...args);
    };
    server.emit = emit as Emit;
    return () => {
      // Somebody may have wrapped ours meanwhile; then it stays, and with an empty table lets everything through.
      if (server.emit !== emit) return;
      if (hadOwn) server.emit = original as Emit;
      else Reflect.deleteProperty(server, "emit");
    };
  }

  /**
   * Makes the HTTP parser hand over our upgrades. It does so only for a server with an 'upgrade' listener, and then
   * for every path; `shouldUpgradeCallback` lets the others be what they were: the business of the other listeners,
   * or, without any, plain requests.
   */
  #hookUpgrade(): () => void {
    const server = this.#server;
    const present = (): void => undefined;
    server.on("upgrade", present);
    const slot = server as WithCallback;
    const original = slot.shouldUpgradeCallback;
    if (original === undefined) return () => server.off("upgrade", present);
    const callback: ShouldUpgrade = (request) => {
      if (this.#find(request) !== undefined) return true;
      server.off("upgrade", present); // Node's own callback counts the listeners
      try {
        return original.call(server, request);
      } finally {
        server.on("upgrade", present);
      }
    };
    slot.shouldUpgradeCallback = callback;
    return () => {
      server.off("upgrade", present);
      if (slot.shouldUpgradeCallback === callback) slot.shouldUpgradeCallback = original;
    };
  }
}
