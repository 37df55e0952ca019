import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { onTestFinished } from "vitest";
import { connectTo, tracked } from "./sockets.ts";

/** Listens, and then accepts nothing until it is told to. */
const CODE = `
  const { createServer } = require("node:net");
  const { parentPort, workerData } = require("node:worker_threads");
  const server = createServer().listen({ ...workerData.where, backlog: 1 }, () => {
    parentPort.postMessage(server.address().port);
    Atomics.wait(new Int32Array(workerData.gate), 0, 0);
  });
`;

/**
 * A listener whose backlog is full: it answers no connection and refuses none, as an address behind a firewall that drops.
 * `open` lets it accept; the kernel asks again within a second or so.
 */
export async function fullListener(host: string, port = 0): Promise<{ port: number; open(): void }> {
  const gate = new SharedArrayBuffer(4);
  const worker = new Worker(CODE, { eval: true, workerData: { where: { host, port }, gate } });
  onTestFinished(async () => void (await worker.terminate()));
  const [real] = (await once(worker, "message")) as [number];
  // A backlog of one holds two; the third finds no room.
  for (let held = 0; held < 2; held += 1) await once(tracked(connectTo(`${host}:${real}`)), "connect");
  const open = () => {
    const view = new Int32Array(gate);
    Atomics.store(view, 0, 1);
    Atomics.notify(view, 0);
  };
  return { port: real, open };
}
