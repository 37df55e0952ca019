import { connect, type Socket } from "node:net";
import { parseEndpoint } from "@culvert/protocol";
import { soon } from "./deadline.ts";

/** How a connection ended for who held this end: "end" in good order, "cut" without one, or the code of its error. */
export type Ending = string;

/** One end of a carried connection, a visitor's or a target's, with everything that it heard. Reads from the start. */
export class WireEnd {
  readonly socket: Socket;
  /** What was read. */
  readonly chunks: Buffer[] = [];
  received = 0;
  readonly #ended: Promise<Ending>;
  readonly #closed: Promise<Ending>;
  #ending: Ending = "cut";
  #keeps = true;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk) => {
      if (this.#keeps) this.chunks.push(chunk);
      this.received += chunk.length;
    });
    socket.once("end", () => {
      if (this.#ending === "cut") this.#ending = "end";
    });
    // An error behind the end still counts: a reset is to be seen.
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.#ending = error.code ?? error.message;
    });
    this.#closed = new Promise((resolve) => socket.once("close", () => resolve(this.#ending)));
    this.#ended = Promise.race([
      new Promise<Ending>((resolve) => socket.once("end", () => resolve("end"))),
      this.#closed,
    ]);
  }

  /** Connects to a listener, `address` as a tunnel tells it. Resolves when connected. */
  static async connect(address: string | undefined): Promise<WireEnd> {
    if (address === undefined) throw new Error("nobody listens");
    const endpoint = parseEndpoint(address);
    const where =
      endpoint.scheme === "unix" ? { path: endpoint.path } : { host: endpoint.host, port: endpoint.port };
    const socket = connect({ ...where, allowHalfOpen: true, noDelay: true });
    const end = new WireEnd(socket);
    await soon(
      new Promise<void>((resolve, reject) => {
        socket.once("connect", resolve);
        socket.once("error", reject);
      }),
      `connected to ${address}`,
    );
    return end;
  }

  /** From now on bytes are counted and not kept: somebody else looks at them. */
  keepsNothing(): void {
    this.#keeps = false;
  }

  /** Resolves when the other side's end was read, or with what came in its place. */
  ended(): Promise<Ending> {
    return soon(this.#ended, "the end is read");
  }

  /** The same, when the socket is closed. */
  closed(patienceMs?: number): Promise<Ending> {
    return soon(this.#closed, "the socket is closed", patienceMs);
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }

  get text(): string {
    return this.bytes.toString();
  }

  /** Resolves when that many bytes were read in all; rejects when the end or a break comes before. */
  async read(count: number): Promise<Buffer> {
    while (this.received < count) {
      const more = new Promise<"data">((resolve) => this.socket.once("data", () => resolve("data")));
      const what = await soon(Promise.race([more, this.#ended]), `${count} bytes, ${this.received} came`);
      if (what !== "data" && this.received < count) throw new Error(`${what} after ${this.received} bytes`);
    }
    return this.bytes.subarray(0, count);
  }

  /** Sends `text` and waits until as many further bytes have come back. */
  async ask(text: string): Promise<string> {
    const before = this.received;
    this.socket.write(text);
    const all = await this.read(before + Buffer.byteLength(text));
    return all.subarray(before).toString();
  }

  /** Breaks the connection with a RST (a Unix socket: closes it). */
  reset(): void {
    try {
      this.socket.resetAndDestroy();
    } catch {
      this.socket.destroy();
    }
  }
}

/** What a visitor of that address hears who sends nothing: how its connection ends. Refused is an ending too. */
export async function endingAt(address: string | undefined): Promise<Ending> {
  let visitor: WireEnd;
  try {
    visitor = await WireEnd.connect(address);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
  return await visitor.closed();
}
