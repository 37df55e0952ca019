import { connect, type NetConnectOpts, type Socket } from "node:net";
import { CARRIED_SOCKET, ignoreError, resetSocket } from "./carried-socket.ts";

/** Where one attempt goes. */
export type Candidate = { readonly host: string; readonly port: number } | { readonly path: string };

/**
 * Connects to the first of several addresses that answers ("happy eyeballs", RFC 8305 section 5): a new attempt starts
 * when the last one failed or 250 ms after it, and none is given up before another one has won. (Node's own
 * `autoSelectFamily` drops each attempt after its 250 ms, so a far target whose first address is the good one is never
 * reached.)
 *
 * The winner is paused: not a byte is read before somebody asks. It carries an 'error' listener that does nothing, so that
 * it may wait to be taken over; the caller owns it. Rejects with the errors of all candidates, or the reason of `signal`.
 *
 * @param onOver Called once, when no attempt has a descriptor any more but the one that won: attempts that are given up are
 * closed a moment after the promise has told the outcome.
 * @param onWon Called with the one that won, before the promise tells it.
 */
export function raceConnections(
  candidates: readonly Candidate[],
  signal: AbortSignal,
  onOver: () => void = ignore,
  onWon: (winner: Candidate) => void = ignore,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const pending = new Set<Socket>();
    /** Attempts that have not won and are not closed. */
    const open = new Set<Socket>();
    let isSettled = false;
    const errors: Error[] = [];
    let next = 0;
    let timer: NodeJS.Timeout | undefined;

    const closed = (socket: Socket) => {
      if (open.delete(socket) && open.size === 0 && isSettled) onOver();
    };
    const settle = (winner?: Socket) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      next = candidates.length;
      for (const socket of pending) if (socket !== winner) socket.destroy();
      pending.clear();
      isSettled = true;
      if (winner !== undefined) open.delete(winner);
      if (open.size === 0) onOver();
    };
    const onAbort = () => {
      for (const socket of pending) giveUp(socket);
      pending.clear();
      settle();
      reject(signal.reason);
    };
    const startNext = () => {
      clearTimeout(timer);
      const candidate = candidates[next];
      if (candidate === undefined) {
        if (pending.size === 0) {
          settle();
          reject(new AggregateError(errors, "no address could be connected to"));
        }
        return;
      }
      next += 1;
      const socket = connect({ ...candidate, ...CARRIED_SOCKET } as NetConnectOpts);
      pending.add(socket);
      open.add(socket);
      const onClose = () => closed(socket);
      socket.on("close", onClose);
      socket.pause();
      socket.on("error", ignoreError);
      const onError = (error: Error) => {
        if (!pending.delete(socket)) return;
        errors.push(error);
        startNext();
      };
      socket.once("error", onError);
      socket.once("connect", () => {
        socket.off("error", onError);
        if (isSelfConnection(socket, candidate)) {
          socket.destroy();
          onError(Object.assign(new Error("connected to itself"), { code: "ECONNREFUSED" }));
          return;
        }
        // What listens to the winner would keep the whole race alive for as long as its connection.
        socket.off("close", onClose);
        settle(socket);
        onWon(candidate);
        resolve(socket);
      });
      if (next < candidates.length) timer = setTimeout(startNext, ATTEMPT_MS);
    };

    if (signal.aborted) {
      settle();
      reject(signal.reason);
      return;
    }
    signal.addEventListener("abort", onAbort);
    startNext();
  });
}

/** The order of RFC 8305 section 4: families take turns, so that a broken one costs one attempt and not all of them. */
export function interleaveFamilies<T extends { readonly family: number }>(addresses: readonly T[]): T[] {
  const first = addresses.filter(({ family }) => family === addresses[0]?.family);
  const second = addresses.filter(({ family }) => family !== addresses[0]?.family);
  const mixed: T[] = [];
  for (let at = 0; at < Math.max(first.length, second.length); at += 1) {
    mixed.push(...first.slice(at, at + 1), ...second.slice(at, at + 1));
  }
  return mixed;
}

/**
 * Dialing a free local port may pick that very port as its source, and TCP then connects the socket to itself
 * (simultaneous open, RFC 9293 section 3.5): an echo where nobody listens.
 */
function isSelfConnection(socket: Socket, candidate: Candidate): boolean {
  // The candidate says where the other end is: asking the kernel for one end is enough.
  return (
    "port" in candidate && socket.localPort === candidate.port && socket.localAddress === socket.remoteAddress
  );
}

/**
 * Ends an attempt that nobody waits for any more. The target may have accepted it although we have not heard of it yet, and
 * for the target a connection that sends nothing and ends well is something that a visitor meant: it gets a RST instead.
 * Node sends none while it connects, so a connection that is about to be there is waited for, for a moment.
 */
function giveUp(socket: Socket): void {
  socket.once("connect", () => resetSocket(socket));
  // Timers that are late run before sockets are looked at, immediates run after that.
  setTimeout(() => setImmediate(() => socket.destroy()), GIVE_UP_MS).unref();
}

const ATTEMPT_MS = 250;
const GIVE_UP_MS = 50;

function ignore(): void {}
