import type { StreamHandler } from "@culvert/protocol";
import type { RawSession } from "./raw-client.ts";

/** Opens a stream to `target`; resolves with `accepted`, after which it is reset, or with the code of the refusal. */
export function opened({ link }: RawSession, target: string): Promise<string> {
  return new Promise((resolve) => {
    const handler: StreamHandler = {
      onAccept: () => {
        stream.reset("cancelled");
        resolve("accepted");
      },
      onData: (chunk) => stream.consumed(chunk.length),
      onEnd: () => undefined,
      onReset: resolve,
    };
    const stream = link.openStream({ kind: "tcp", target }, handler);
  });
}

/** Opens a stream to `target` that stays; resolves with `accepted`, or with the code of the refusal, if it is ever answered. */
export function held({ link }: RawSession, target: string): Promise<string> {
  return new Promise((resolve) => {
    const handler: StreamHandler = {
      onAccept: () => resolve("accepted"),
      onData: () => undefined,
      onEnd: () => undefined,
      onReset: resolve,
    };
    link.openStream({ kind: "tcp", target }, handler);
  });
}

/** What the server said to a listener that was asked for. */
export interface ListenAnswer {
  readonly id: number;
  /** Where it listens. */
  readonly ready?: string;
  /** Why it does not. */
  readonly closed?: string;
  /** Resolves with the code when it listens no more. */
  readonly over: Promise<string>;
}

/** Asks the server to listen and waits for its answer. */
export function listened({ link }: RawSession, listen: string): Promise<ListenAnswer> {
  return new Promise((resolve) => {
    let end: (code: string) => void = () => undefined;
    const over = new Promise<string>((done) => {
      end = done;
    });
    const id = link.requestTunnel(listen, "t", {
      onReady: (ready) => resolve({ id, ready, over }),
      onClosed: (closed) => {
        end(closed);
        resolve({ id, closed, over });
      },
    });
  });
}

export function portOf(endpoint: string | undefined): number {
  return Number(/:(\d+)$/.exec(endpoint ?? "")?.[1]);
}
