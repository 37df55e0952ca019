import type { NetConnectOpts, Socket } from "node:net";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { freePort } from "../../../test/support/free-port.ts";
import { ignoreError } from "../src/carried-socket.ts";
import { raceConnections } from "../src/connection-race.ts";
import { fullListener } from "./support/full-listener.ts";
import { serve, tracked } from "./support/sockets.ts";

/** Every socket that the race made, and what it shall be connected with besides. */
const made = vi.hoisted(() => ({ sockets: [] as Socket[], extra: (_port: number): object => ({}) }));
vi.mock("node:net", async (original) => {
  const net = await original<typeof import("node:net")>();
  const connect = (options: NetConnectOpts & { port: number }) => {
    const socket = net.connect({ ...options, ...made.extra(options.port) });
    made.sockets.push(socket);
    return socket;
  };
  return { ...net, connect };
});

const { signal } = new AbortController();

beforeEach(() => {
  made.sockets = [];
  made.extra = () => ({});
});

test("a socket that was connected to itself is a refusal", async () => {
  const port = await freePort();
  // The kernel picks this port by itself once in tens of thousands.
  made.extra = (localPort) => ({ localAddress: "127.0.0.1", localPort });
  const outcome = raceConnections([{ host: "127.0.0.1", port }], signal);
  await expect(outcome).rejects.toMatchObject({
    errors: [expect.objectContaining({ message: "connected to itself", code: "ECONNREFUSED" })],
  });
  expect(made.sockets.map(({ destroyed }) => destroyed)).toEqual([true]);
});

test("nothing of the race listens to the winner any more, which may live for months", async () => {
  const { port } = await serve();
  const candidate = { host: "127.0.0.1", port };
  const silent = await fullListener("127.0.0.1");
  const winner = await raceConnections([{ host: "127.0.0.1", port: silent.port }, candidate], signal);
  expect([winner.listenerCount("close"), winner.listenerCount("connect")]).toEqual([0, 0]);
  expect(winner.listeners("error")).toEqual([ignoreError]);
  tracked(winner);
});

test("who lost the race is destroyed, and so are all when it is called off", async () => {
  const silent = await fullListener("127.0.0.1");
  const { port } = await serve();
  made.sockets = [];
  const both = [
    { host: "127.0.0.1", port: silent.port },
    { host: "127.0.0.1", port },
  ];
  const winner = tracked(await raceConnections(both, signal));
  expect(winner.remotePort).toBe(port);
  expect(made.sockets.map(({ destroyed }) => destroyed)).toEqual([true, false]);

  made.sockets = [];
  const stop = new AbortController();
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const calledOff = raceConnections([both[0]!, both[0]!, both[0]!], stop.signal);
  vi.advanceTimersByTime(250);
  stop.abort(new Error("enough"));
  await expect(calledOff).rejects.toThrow("enough");
  // For a moment they are kept: one that turns out to be connected must be reset.
  vi.advanceTimersByTime(50);
  await new Promise((resolve) => setImmediate(resolve));
  expect(made.sockets.map(({ destroyed }) => destroyed)).toEqual([true, true]);
  expect(vi.getTimerCount()).toBe(0);
});

test("is over when the last attempt that did not win is closed, once", async () => {
  const silent = await fullListener("127.0.0.1");
  const { port } = await serve();
  const [mute, good] = [
    { host: "127.0.0.1", port: silent.port },
    { host: "127.0.0.1", port },
  ];
  made.sockets = [];
  const won = vi.fn();
  tracked(await raceConnections([mute, good], signal, won));
  await vi.waitFor(() => expect(won).toHaveBeenCalledTimes(1));
  expect(made.sockets.map(({ closed }) => closed)).toEqual([true, false]);

  const alone = vi.fn();
  tracked(await raceConnections([good], signal, alone));
  expect(alone).toHaveBeenCalledTimes(1);

  made.sockets = [];
  const stop = new AbortController();
  const calledOff = vi.fn(() => expect(made.sockets.map(({ closed }) => closed)).toEqual([true]));
  const outcome = raceConnections([mute], stop.signal, calledOff);
  stop.abort(new Error("enough"));
  await expect(outcome).rejects.toThrow("enough");
  expect(calledOff).not.toHaveBeenCalled();
  await vi.waitFor(() => expect(calledOff).toHaveBeenCalledTimes(1));

  const before = vi.fn();
  await expect(raceConnections([good], AbortSignal.abort(new Error("no")), before)).rejects.toThrow("no");
  expect(before).toHaveBeenCalledTimes(1);
});

test("nobody is asked when it was called off before", async () => {
  const { port } = await serve();
  const outcome = raceConnections([{ host: "127.0.0.1", port }], AbortSignal.abort(new Error("enough")));
  await expect(outcome).rejects.toThrow("enough");
  expect(made.sockets).toEqual([]);
});
