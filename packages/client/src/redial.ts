import type { Transport } from "@culvert/peer";
import { SUBPROTOCOL } from "@culvert/protocol";
import ReconnectingWebSocket from "reconnecting-websocket";
import type { DialEnd, DialPlan } from "./dial.ts";
import { DialedSocket } from "./ws-connector.ts";

export interface RedialOptions {
  /**
   * Says what to dial next, after whatever wait is due; `undefined` ends the redialing. Asked at the start and each time
   * that a dial failed or its transport closed, when nothing is left of the former one. The signal is aborted by `close`.
   */
  readonly nextDial: (signal: AbortSignal) => Promise<DialPlan | undefined>;
  readonly onOpen: (transport: Transport, plan: DialPlan) => void;
  /** Once for each dial, before `nextDial` is asked again. */
  readonly onOver: (end: DialEnd, plan: DialPlan) => void;
  /** `nextDial` threw, which it should not; the redialing has ended. */
  readonly onFault: (error: unknown) => void;
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Dials one WebSocket after another, by `reconnecting-websocket`, until it is closed. One object, one run: it is not
 * started again. This is the only file that knows that library (4.4.0), and what must be known of it:
 *
 * - It waits by its own ladder, whose jitter is drawn once a process. Here its delays are 0, and the wait is part of the
 *   URL provider, which draws anew for each dial and can be ended early.
 * - It stops for ever, silently, when the URL provider rejects or when the WebSocket's constructor throws. The provider
 *   here never rejects, and a plan is checked before it gets there.
 * - It goes on after any close whatever its code, until `close()` is called.
 * - It reports a failed dial as close code 1000. What happened is taken from the socket itself (see DialedSocket).
 * - On its connect time-out it removes its listeners, and the 'error' that ws emits afterwards would end the process.
 *   Its time-out is out of reach here; DialedSocket has its own, and an 'error' listener for life.
 * - It sends queued messages before anybody hears 'open', and queues without bound. Nothing is sent through it here.
 * - It swallows what listeners throw in some places. Nobody listens to it here.
 * - It sets `binaryType` to "blob" on each socket, when it makes it and again on 'open', unless it is told another.
 * - After an 'error' on an open socket (a frame too large, say) it dials anew at once while the old socket is still in its
 *   closing handshake. The provider ends the old one first.
 * - `close()` while the provider is being asked makes a later `reconnect()` do nothing. `reconnect()` is never called.
 */
export class Redial {
  readonly #options: RedialOptions;
  readonly #closing = new AbortController();
  readonly #library: ReconnectingWebSocket;
  #plan: DialPlan | undefined;
  #socket: DialedSocket | undefined;

  /** Begins at once; `nextDial` is asked in a later turn of the event loop. */
  constructor(options: RedialOptions) {
    this.#options = options;
    this.#library = new ReconnectingWebSocket(() => this.#provideUrl(), SUBPROTOCOL, {
      WebSocket: this.#socketClass(),
      minReconnectionDelay: 0,
      maxReconnectionDelay: 0,
      reconnectionDelayGrowFactor: 1,
      minUptime: 0,
      connectionTimeout: LONGEST_TIMER_MS,
      maxEnqueuedMessages: 0,
    });
    this.#library.binaryType = "nodebuffer";
  }

  /** Ends it: no dial begins any more, a wait ends at once, an open transport is terminated. */
  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#library.close();
    this.#socket?.terminate();
  }

  async #provideUrl(): Promise<string> {
    try {
      const former = this.#socket;
      if (former !== undefined) {
        former.terminate();
        await former.over;
        this.#socket = undefined;
      }
      const { signal } = this.#closing;
      const plan = signal.aborted ? undefined : await this.#options.nextDial(signal);
      this.#plan = plan;
      if (plan !== undefined) return plan.url.href;
      this.close();
    } catch (error) {
      this.close();
      this.#options.onFault(error);
    }
    // Never looked at: the library makes no socket once it is closed.
    return "";
  }

  /** The library makes sockets by `new Class(url, protocols)`; what else a socket must know is in the plan. */
  #socketClass(): unknown {
    const take = (): DialPlan => this.#plan as DialPlan;
    const keep = (socket: DialedSocket): void => {
      this.#socket = socket;
    };
    const events = this.#options;
    return class extends DialedSocket {
      constructor() {
        super(take(), events);
        keep(this);
      }
    };
  }
}
