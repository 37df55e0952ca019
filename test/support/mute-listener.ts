import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Worker } from "node:worker_threads";
import { soon } from "./deadline.ts";

const CODE = `
const { createServer } = require("node:net");
const { parentPort } = require("node:worker_threads");
const server = createServer(() => undefined);
server.listen({ host: "127.0.0.1", port: 0, backlog: 1 }, () => {
  parentPort.postMessage(server.address().port);
  setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
});
`;
/** Linux keeps one connection more than the backlog says. */
const PLACES = 2;

/** A TCP address that answers nobody: somebody listens and never accepts, and all places of its queue are taken. */
export class MuteListener implements AsyncDisposable {
  readonly address: string;
  readonly #worker: Worker;
  readonly #fillers: Socket[];

  private constructor(worker: Worker, port: number, fillers: Socket[]) {
    this.#worker = worker;
    this.address = `127.0.0.1:${port}`;
    this.#fillers = fillers;
  }

  static async start(): Promise<MuteListener> {
    const worker = new Worker(CODE, { eval: true });
    const [port] = (await once(worker, "message")) as [number];
    const fillers = Array.from({ length: PLACES }, () => connect(port, "127.0.0.1"));
    for (const filler of fillers) {
      filler.on("error", () => undefined);
      if (filler.connecting) await soon(once(filler, "connect"), "a place in the queue");
    }
    return new MuteListener(worker, port, fillers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const filler of this.#fillers) filler.destroy();
    await this.#worker.terminate();
  }
}
