import { Socket } from "node:net";
import { platform } from "node:os";

/**
 * Called for each read, on the socket: `length` bytes stand at the front of `memory`. Returns where the next read goes;
 * undefined: to the same place. May pause the socket.
 */
export type OnRead = (this: Socket, length: number, memory: Uint8Array) => Uint8Array | undefined;

/**
 * Makes sockets read straight into `memory`, without a new buffer for each read and without its own stream: 'data' is not emitted any
 * more; `pause`, `resume`, 'end', 'error' and 'close' are as ever.
 *
 * The memory may be that of many sockets: it is written to right before `onRead` is called, and never otherwise.
 *
 * This is what the option `onread` of `net.connect` does. Sockets that a server accepted have no public way to it, so the properties that the
 * option sets are looked up by their values, in sockets that are made for this, and the handle is told as Node would tell it
 * (lib/net.js and lib/internal/stream_base_commons.js of Node 24). Nothing else in Culvert touches these.
 */
export class DirectReader {
  readonly #callback: (this: Socket, length: number, memory: Uint8Array) => boolean;

  /** @param onRead If it throws, the socket is destroyed, and the error is thrown again outside of the read. */
  constructor(onRead: OnRead) {
    this.#callback = function (this: Socket, length, memory) {
      try {
        next = Reflect.apply(onRead, this, [length, memory]);
      } catch (error) {
        // What stands in the memory may be in use, and a callback that throws is not asked for another one.
        next = new Uint8Array(memory.length);
        this.destroy();
        queueMicrotask(() => {
          throw error;
        });
      }
      // Of what was pushed into a socket that nobody reads there may be enough; Node stops then, until it is read.
      return this.readableLength === 0 || this.readableLength < this.readableHighWaterMark;
    };
  }

  /**
   * Returns false, and changes nothing, where it cannot be: bytes wait to be read as 'data', the socket is not connected, or this
   * Node works otherwise than we know.
   */
  start(socket: Socket, memory: Uint8Array): boolean {
    const handle = (socket as { _handle?: Handle | null })._handle;
    if (KEYS === undefined || typeof handle?.useUserBuffer !== "function") return false;
    if (socket.connecting || socket.readableLength > 0) return false;
    Object.assign(socket, {
      [KEYS.memory]: memory,
      [KEYS.callback]: this.#callback,
      [KEYS.nextMemory]: takeNext,
    });
    handle.useUserBuffer(memory);
    return true;
  }
}

interface Handle {
  useUserBuffer?(memory: Uint8Array): void;
}

/** Node asks for the memory of the next read right after the callback, without saying for whom. */
let next: Uint8Array | undefined;

function takeNext(): Uint8Array | undefined {
  const memory = next;
  next = undefined;
  return memory;
}

interface Keys {
  readonly memory: symbol;
  readonly nextMemory: symbol;
  readonly callback: symbol;
}

function findKeys(): Keys | undefined {
  // On Windows reads may be under way while others are: they cannot share memory.
  if (platform() === "win32") return undefined;
  const buffer = new Uint8Array(1);
  const nextBuffer = () => buffer;
  const callback = () => true;
  const fixed = new Socket({ onread: { buffer, callback } });
  const changing = new Socket({ onread: { buffer: nextBuffer as unknown as Uint8Array, callback } });
  const memory = keyOf(fixed, buffer);
  const nextMemory = keyOf(changing, nextBuffer);
  const called = keyOf(fixed, callback);
  if (memory === undefined || nextMemory === undefined || called === undefined) return undefined;
  return { memory, nextMemory, callback: called };
}

function keyOf(socket: Socket, value: unknown): symbol | undefined {
  const values = socket as unknown as Record<symbol, unknown>;
  return Object.getOwnPropertySymbols(socket).find((key) => values[key] === value);
}

const KEYS = findKeys();
