import { once } from "node:events";
import type { Socket } from "node:net";
import { formatEndpoint, type IncomingStream, parseEndpoint, type Stream } from "@culvert/protocol";
import { describe, expect, test, vi } from "vitest";
import { DialingSide, type DialingSideOptions } from "../src/dialing-side.ts";
import { FairRoom } from "../src/fair-room.ts";
import type { Link } from "../src/link.ts";
import { silentLogger } from "../src/logger.ts";
import { fullListener } from "./support/full-listener.ts";
import { linkPair } from "./support/link-pair.ts";
import { serve } from "./support/sockets.ts";

/** A target, and a link whose streams are answered by a dialing side that dials it. */
async function setUp(
  options: Partial<DialingSideOptions> = {},
  onSocket: (socket: Socket) => void = (s) => s.pipe(s),
) {
  const { server, port } = await serve(onSocket);
  const links = linkPair();
  const dialing = new DialingSide({ dialTimeoutMs: 5000, logger: silentLogger, ...options });
  const target = parseEndpoint(`127.0.0.1:${port}`);
  const incoming: IncomingStream[] = [];
  links.server.onStream = (stream) => {
    incoming.push(stream);
    dialing.answer(stream, { kind: "dial", endpoint: target });
  };
  return { ...links, target: server, dialing, incoming };
}

/** Opens a stream and tells what becomes of it. */
function open(link: Link) {
  const received: Uint8Array[] = [];
  const accepted = new Deferred();
  const over = new Deferred<string>();
  const stream: Stream = link.openStream(
    { kind: "tcp" },
    {
      onAccept: () => accepted.resolve(),
      onData: (chunk) => {
        received.push(chunk);
        stream.consumed(chunk.length);
      },
      onEnd: () => over.resolve("end"),
      onReset: (code) => over.resolve(code),
    },
  );
  return {
    stream,
    accepted: accepted.promise,
    over: over.promise,
    text: () => Buffer.concat(received).toString(),
  };
}

/** A promise and what resolves it. */
class Deferred<T = void> {
  readonly promise: Promise<T>;
  resolve!: (value: T) => void;

  constructor() {
    this.promise = new Promise((resolve) => {
      this.resolve = resolve;
    });
  }
}

describe("DialingSide", () => {
  test("dials, carries what came with the open, and counts", async () => {
    const { client, dialing } = await setUp();
    const { stream, over, text } = open(client);
    stream.write(Buffer.from("early"));
    stream.end();
    expect(await over).toBe("end");
    expect(text()).toBe("early");
    expect(dialing.stats()).toMatchObject({ connected: 1, refused: 0, dialing: 0 });
  });

  test("refuses as decided, with the code", async () => {
    const { client, server, dialing } = await setUp();
    server.onStream = (incoming) => dialing.answer(incoming, { kind: "refuse", code: "forbidden" });
    expect(await open(client).over).toBe("forbidden");
    expect(dialing.stats()).toMatchObject({ connected: 0, refused: 1 });
  });

  test("a target that refuses: its code", async () => {
    const { client, target, dialing } = await setUp();
    target.close();
    await once(target, "close");
    expect(await open(client).over).toBe("target_refused");
    expect(dialing.stats()).toMatchObject({ connected: 0, refused: 1, dialing: 0 });
  });

  test("a target that does not answer: target_timeout", async () => {
    // The dial is bounded as a whole, so a resolver that never answers is as good as a target that does not.
    const { client, server, dialing } = await setUp({ dialTimeoutMs: 20, lookup: () => undefined });
    const endpoint = parseEndpoint("black.hole.example:80");
    server.onStream = (incoming) => dialing.answer(incoming, { kind: "dial", endpoint });
    expect(await open(client).over).toBe("target_timeout");
  });

  test("an opener that gives up stops the dial", async () => {
    const asked = new Deferred();
    const { client, server, dialing } = await setUp({ lookup: () => asked.resolve() });
    const refused = new Deferred<string>();
    server.onStream = (incoming) => {
      incoming.refuse = (code) => refused.resolve(code);
      dialing.answer(incoming, { kind: "dial", endpoint: parseEndpoint("slow.example:80") });
    };
    const { stream } = open(client);
    await asked.promise;
    expect(dialing.stats().dialing).toBe(1);
    stream.reset("cancelled");
    expect(await refused.promise).toBe("cancelled");
    expect(dialing.stats()).toMatchObject({ dialing: 0, connected: 0 });
  });

  test("an opener that opens and resets streams to fresh names asks the resolver for 32 of them", async () => {
    const asked: string[] = [];
    const { client, server, dialing } = await setUp({ lookup: (host) => void asked.push(host) });
    for (let name = 0; name < 100; name += 1) {
      const [arrived, refused] = [new Deferred(), new Deferred<string>()];
      server.onStream = (incoming) => {
        incoming.refuse = (code) => refused.resolve(code);
        dialing.answer(incoming, { kind: "dial", endpoint: parseEndpoint(`n${name}.example:80`) });
        arrived.resolve();
      };
      const { stream } = open(client);
      await arrived.promise;
      stream.reset("cancelled");
      expect(await refused.promise).toBe("cancelled");
    }
    expect(asked).toHaveLength(32);
    expect(dialing.stats()).toMatchObject({ dialing: 0, refused: 100 });
  });

  test("a dial that was given up keeps its place in the room until its socket is closed", async () => {
    const silent = await fullListener("127.0.0.1");
    const [room, sockets] = [new FairRoom(1, 1).share(), new FairRoom(2, 1).share()];
    const leave = vi.spyOn(room, "leave");
    const leaveSockets = vi.spyOn(sockets, "leave");
    const { client, server, dialing } = await setUp({ room, sockets });
    const answer = server.onStream;
    const endpoint = parseEndpoint(`127.0.0.1:${silent.port}`);
    server.onStream = (incoming) => dialing.answer(incoming, { kind: "dial", endpoint });
    const first = open(client);
    await vi.waitFor(() => expect(dialing.stats().dialing).toBe(1));
    dialing.cancelDials();
    expect(await first.over).toBe("cancelled");
    expect(await open(client).over).toBe("resource_exhausted");
    expect(leaveSockets).not.toHaveBeenCalled();
    await vi.waitFor(() => expect(leave).toHaveBeenCalledTimes(1));
    expect(leaveSockets).toHaveBeenCalledTimes(1);

    // Every other dial keeps it to its end.
    server.onStream = answer;
    await open(client).accepted;
    expect(leave).toHaveBeenCalledTimes(2);
    const nowhere = { ...endpoint, port: 0 };
    server.onStream = (incoming) => dialing.answer(incoming, { kind: "dial", endpoint: nowhere });
    expect(await open(client).over).toBe("bad_address");
    expect(leave).toHaveBeenCalledTimes(3);
    expect(leaveSockets).toHaveBeenCalledTimes(2);
  });

  test("cancelDials stops what is under way and leaves connections alone", async () => {
    const asked = new Deferred();
    const { client, server, dialing } = await setUp({ lookup: () => asked.resolve() });
    const carried = open(client);
    await carried.accepted;
    server.onStream = (incoming) => {
      dialing.answer(incoming, { kind: "dial", endpoint: parseEndpoint("slow.example:80") });
    };
    const dialed = open(client);
    await asked.promise;
    dialing.cancelDials();
    expect(await dialed.over).toBe("cancelled");
    carried.stream.write(Buffer.from("on"));
    carried.stream.end();
    expect(await carried.over).toBe("end");
    expect(carried.text()).toBe("on");
  });

  test("the end of the session resets the target", async () => {
    let target: Socket | undefined;
    const { client, server } = await setUp({}, (socket) => {
      target = socket;
    });
    await open(client).accepted;
    if (target === undefined) throw new Error("no target");
    const reset = once(target.resume(), "error");
    server.close();
    expect(await reset).toMatchObject([{ code: "ECONNRESET" }]);
  });

  test("endpoints are shown as text in logs", async () => {
    const lines: unknown[] = [];
    const record = (fields: object): void => void lines.push(fields);
    const logger = {
      trace: record,
      debug: record,
      info: record,
      warn: record,
      error: record,
      child: () => logger,
    };
    const { client, target } = await setUp({ logger });
    const { port } = target.address() as { port: number };
    target.close();
    await once(target, "close");
    await open(client).over;
    const endpoint = formatEndpoint({ scheme: "tcp", host: "127.0.0.1", port });
    expect(lines).toContainEqual(expect.objectContaining({ code: "target_refused", target: endpoint }));
  });
});
