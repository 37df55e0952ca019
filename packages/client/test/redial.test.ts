import { once } from "node:events";
import { type AddressInfo, connect } from "node:net";
import { Duplex } from "node:stream";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import type { Transport } from "@culvert/peer";
import { describe, expect, it, onTestFinished } from "vitest";
import type { DialEnd, DialPlan } from "../src/dial.ts";
import { Redial } from "../src/redial.ts";
import { deadUrl, httpServer, tcpServer, webSocketServer } from "./support/servers.ts";

function planOf(url: URL, changes: Partial<DialPlan> = {}): DialPlan {
  return { url, attempt: 1, headers: {}, timeoutMs: 5000, connector: undefined, tls: undefined, ...changes };
}

interface Outcome {
  readonly opened: Transport[];
  readonly ends: DialEnd[];
}

/** Dials these in turn, and resolves when the last one is over; `onOpen` decides what becomes of a transport. */
function dialAll(
  plans: DialPlan[],
  onOpen: (transport: Transport, redial: Redial) => void = () => undefined,
): Promise<Outcome> {
  const left = [...plans];
  const outcome: Outcome = { opened: [], ends: [] };
  return new Promise((resolve, reject) => {
    const redial = new Redial({
      nextDial: async () => {
        const plan = left.shift();
        if (plan === undefined) resolve(outcome);
        return plan;
      },
      onOpen: (transport) => {
        outcome.opened.push(transport);
        onOpen(transport, redial);
      },
      onOver: (end) => outcome.ends.push(end),
      onFault: reject,
    });
    onTestFinished(() => redial.close());
  });
}

function redialOf(nextDial: (signal: AbortSignal) => Promise<DialPlan | undefined>): Redial {
  return new Redial({ nextDial, onOpen: () => undefined, onOver: () => undefined, onFault: () => undefined });
}

async function failureOf(url: URL, changes: Partial<DialPlan> = {}): Promise<DialEnd> {
  const { opened, ends } = await dialAll([planOf(url, changes)]);
  expect(opened).toHaveLength(0);
  expect(ends).toHaveLength(1);
  return ends[0] as DialEnd;
}

describe("a dial that fails", () => {
  it.each([
    [401, "unauthorized"],
    [403, "refused_by_server"],
    [404, "not_culvert"],
    [426, "not_culvert"],
    [200, "not_culvert"],
    [502, "connect_failed"],
  ])("by status %i is %s", async (status, code) => {
    const url = await httpServer((_request, response) => response.writeHead(status).end("no"));
    expect((await failureOf(url)).cause.code).toBe(code);
  });

  it("by a 503 keeps its Retry-After", async () => {
    const url = await httpServer((_request, response) =>
      response.writeHead(503, { "Retry-After": "7" }).end(),
    );
    expect(await failureOf(url)).toMatchObject({ cause: { code: "connect_failed" }, retryAfterMs: 7000 });
  });

  it("by a 400 of our own server is another version", async () => {
    const url = await httpServer((_request, response) => {
      response
        .writeHead(400)
        .end("The WebSocket subprotocol culvert.v9 must be offered: is this a Culvert client?");
    });
    expect((await failureOf(url)).cause.code).toBe("version_unsupported");
  });

  it("by a refusal with an endless body is over all the same", async () => {
    const url = await httpServer((_request, response) => {
      response.writeHead(403);
      response.write("x".repeat(100_000));
    });
    expect((await failureOf(url)).cause.code).toBe("refused_by_server");
  });

  it("because nobody listens says so", async () => {
    const { cause } = await failureOf(await deadUrl());
    expect(cause.code).toBe("connect_failed");
    expect(cause.message).toContain("ECONNREFUSED");
  });

  it("because the server closes at once", async () => {
    const url = await tcpServer((socket) => socket.destroy());
    expect((await failureOf(url)).cause.code).toBe("connect_failed");
  });

  it("because what answers is not HTTP", async () => {
    const url = await tcpServer((socket) => socket.end("SSH-2.0-OpenSSH_9.6\r\n"));
    expect((await failureOf(url)).cause.code).toBe("not_culvert");
  });

  it("because a WebSocket server speaks no subprotocol, or another one", async () => {
    const silent = await webSocketServer(() => undefined, { subprotocol: false });
    const other = await webSocketServer(() => undefined, { subprotocol: "chat" });
    for (const url of [silent, other]) {
      const { cause } = await failureOf(url);
      expect(cause.code).toBe("not_culvert");
      expect(cause.message).toContain("does not speak culvert.v1");
    }
  });

  it("because TLS was expected", async () => {
    const url = await httpServer((_request, response) => response.end());
    url.protocol = "wss:";
    expect((await failureOf(url)).cause.code).toBe("not_culvert");
  });
});

describe("the time limit of a dial", () => {
  it("ends one that a mute server never answers, and the process goes on", async () => {
    const url = await tcpServer(() => undefined);
    const { ends } = await dialAll([planOf(url, { timeoutMs: 30 }), planOf(url, { timeoutMs: 30 })]);
    expect(ends.map(({ cause }) => cause.code)).toEqual(["connect_failed", "connect_failed"]);
    expect(ends[0]?.cause.message).toContain("no answer in 30 ms");
  });

  it("is absolute: a server that dribbles does not extend it", async () => {
    const url = await tcpServer((socket) => {
      socket.write("HTTP/1.1 101 Switching Protocols\r\n");
      const dribble = setInterval(() => socket.write("X: y\r\n"), 5);
      socket.on("close", () => clearInterval(dribble));
    });
    expect((await failureOf(url, { timeoutMs: 60 })).cause.message).toContain("no answer in 60 ms");
  });

  it("counts a connector that never comes back, and tells it", async () => {
    let signal: AbortSignal | undefined;
    const url = await deadUrl();
    const end = await failureOf(url, {
      timeoutMs: 30,
      connector: (request) => {
        signal = request.signal;
        return new Promise(() => undefined);
      },
    });
    expect(end.cause.message).toContain("no answer in 30 ms");
    expect(signal?.aborted).toBe(true);
  });
});

describe("a transport", () => {
  it("carries binary messages both ways, also those that come with the answer to the upgrade", async () => {
    const url = await webSocketServer((socket) => {
      socket.send(Buffer.from("hello"));
      socket.on("message", (data) => socket.send(data));
    });
    const heard: string[] = [];
    await dialAll([planOf(url)], (transport) => {
      transport.handler = {
        onMessage: (message) => {
          heard.push(Buffer.from(message).toString());
          if (heard.length === 2) transport.terminate();
        },
        onText: () => heard.push("text"),
        onHeard: () => undefined,
        onDrain: () => undefined,
        onClose: () => undefined,
      };
      transport.send(Buffer.from("echo"));
    });
    expect(heard).toEqual(["hello", "echo"]);
  });

  it("is dialed again after it closed, whatever the code", async () => {
    const codes = [1000, 1001, 4409];
    const url = await webSocketServer((socket) => socket.close(codes.shift(), "said"));
    const { opened, ends } = await dialAll([planOf(url), planOf(url), planOf(url)]);
    expect(opened).toHaveLength(3);
    expect(ends.map(({ cause }) => cause.message)).toEqual([
      expect.stringContaining("code 1000 (said)"),
      expect.stringContaining("code 1001 (said)"),
      expect.stringContaining("code 4409 (said)"),
    ]);
    expect(ends.every(({ cause }) => cause.code === "transport_closed")).toBe(true);
  });

  it("that breaks a rule of WebSocket is gone before the next dial begins, without waiting for its goodbye", async () => {
    const url = await webSocketServer((socket) => {
      socket.send(Buffer.alloc(131_073)); // more than maxPayload
      socket.pause(); // so it never answers the close
    });
    const told: string[] = [];
    await new Promise<void>((resolve) => {
      const redial = new Redial({
        nextDial: async () => {
          told.push("next");
          if (told.filter((what) => what === "next").length <= 2) return planOf(url);
          resolve();
          return undefined;
        },
        onOpen: () => told.push("open"),
        onOver: ({ cause }) => told.push(cause.code),
        onFault: () => undefined,
      });
      onTestFinished(() => redial.close());
    });
    expect(told).toEqual(["next", "open", "transport_closed", "next", "open", "transport_closed", "next"]);
  });

  it("uses no compression and sends the headers of the plan", async () => {
    let headers: Readonly<Record<string, unknown>> = {};
    const url = await httpServer((request, response) => {
      headers = request.headers;
      response.writeHead(401).end();
    });
    await failureOf(url, { headers: { Authorization: "Bearer x", "X-Route": "a" } });
    expect(headers).toMatchObject({
      authorization: "Bearer x",
      "x-route": "a",
      "sec-websocket-protocol": "culvert.v1",
    });
    expect(headers).not.toHaveProperty("sec-websocket-extensions");
  });
});

describe("a connector", () => {
  it("gives the connection for every dial, at once or later", async () => {
    const url = await webSocketServer((socket) => socket.close(1000));
    const asked: (readonly [number, string])[] = [];
    const plan = (attempt: number, isLate: boolean): DialPlan =>
      planOf(new URL("ws://not.there.invalid/"), {
        attempt,
        connector: (request) => {
          asked.push([request.attempt, request.url.host]);
          const socket = connect(Number(url.port), "127.0.0.1");
          return isLate ? Promise.resolve(socket) : socket;
        },
      });
    const { opened } = await dialAll([plan(1, false), plan(2, true)]);
    expect(opened).toHaveLength(2);
    expect(asked).toEqual([
      [1, "not.there.invalid"],
      [2, "not.there.invalid"],
    ]);
  });

  it("of a wss: URL has TLS spoken over what it gives, with the name of the host", async () => {
    let first: Buffer | undefined;
    const url = await tcpServer((socket) => {
      socket.once("data", (chunk) => {
        first = chunk;
        socket.destroy();
      });
    });
    const { cause } = await failureOf(new URL("wss://name.invalid/"), {
      connector: () => connect(Number(url.port), "127.0.0.1"),
    });
    expect(cause.code).toBe("connect_failed");
    expect(first?.[0]).toBe(0x16); // a TLS handshake record (RFC 8446 section 5.1)
    expect(first?.toString("latin1")).toContain("name.invalid");
  });

  it("that brings TLS to a proxy of a ws: URL has messages masked all the same: behind the proxy they are in the clear", async () => {
    const url = await webSocketServer((socket) => socket.on("message", () => socket.close(1000)));
    const psk = Buffer.alloc(32, 7); // a shared key, so that no certificate has to be kept and renewed for a test
    const shared = { ciphers: "PSK-AES256-GCM-SHA384", maxVersion: "TLSv1.2" } as const;
    const seen: Buffer[] = [];
    const proxy = createTlsServer({ ...shared, pskCallback: () => psk }, (near) => {
      const far = connect(Number(url.port), "127.0.0.1");
      near.on("data", (chunk: Buffer) => seen.push(chunk));
      near.on("error", () => far.destroy());
      far.on("error", () => near.destroy());
      near.pipe(far).pipe(near);
    }).listen(0, "127.0.0.1");
    onTestFinished(() => void proxy.close());
    await once(proxy, "listening");
    const { port } = proxy.address() as AddressInfo;
    const plan = planOf(new URL("ws://not.there.invalid/"), {
      connector: () =>
        connectTls({
          port,
          host: "127.0.0.1",
          ...shared,
          pskCallback: () => ({ psk, identity: "test" }),
          checkServerIdentity: () => undefined,
        }),
    });
    const { opened } = await dialAll([plan], (transport) => transport.send(Buffer.from("of a visitor")));
    expect(opened).toHaveLength(1);
    expect(Buffer.concat(seen).length).toBeGreaterThan(200);
    expect(Buffer.concat(seen).includes("of a visitor")).toBe(false);
  });

  it("that throws, rejects, or gives a connection that breaks is a failed dial", async () => {
    const url = await deadUrl();
    const broken = new Duplex({
      read: () => undefined,
      write: (_chunk, _encoding, done) => done(new Error("broken")),
    });
    const connectors = [
      () => {
        throw new Error("thrown");
      },
      () => Promise.reject(new Error("rejected")),
      () => broken,
    ];
    const { ends } = await dialAll(connectors.map((connector) => planOf(url, { connector })));
    expect(ends.map(({ cause }) => cause.message)).toEqual([
      expect.stringContaining("thrown"),
      expect.stringContaining("rejected"),
      expect.stringContaining("broken"),
    ]);
  });

  it("whose connection comes too late has it destroyed", async () => {
    const url = await deadUrl();
    let give: ((socket: Duplex) => void) | undefined;
    await failureOf(url, { timeoutMs: 20, connector: () => new Promise((resolve) => (give = resolve)) });
    const late = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
    const closed = new Promise((resolve) => late.once("close", resolve));
    give?.(late);
    await closed;
    expect(late.destroyed).toBe(true);
  });
});

describe("close", () => {
  it("while the next dial is being decided ends it: no socket is made", async () => {
    let connections = 0;
    const url = await tcpServer((socket) => {
      connections += 1;
      socket.destroy();
    });
    let asked = 0;
    await new Promise<void>((resolve) => {
      const redial = redialOf(async (signal) => {
        asked += 1;
        setImmediate(() => redial.close());
        await new Promise((done) => signal.addEventListener("abort", done));
        setImmediate(resolve);
        return planOf(url);
      });
    });
    // A later dial of another one arrives; one of the first would have arrived before.
    await failureOf(url);
    expect(asked).toBe(1);
    expect(connections).toBe(1);
  });

  it("right after the start asks for nothing", async () => {
    let asked = 0;
    const redial = redialOf(async () => {
      asked += 1;
      return undefined;
    });
    redial.close();
    redial.close();
    // Timers are in order: the first one would have been asked before this one.
    await new Promise<void>((resolve) => {
      redialOf(async () => {
        resolve();
        return undefined;
      });
    });
    expect(asked).toBe(0);
  });

  it("during a dial ends the dial, and the process goes on", async () => {
    const ends: string[] = [];
    const url = await tcpServer(() => setImmediate(() => redial.close()));
    let redial: Redial = undefined as unknown as Redial;
    await new Promise<void>((resolve) => {
      redial = new Redial({
        nextDial: async () => planOf(url),
        onOpen: () => undefined,
        onOver: ({ cause }) => {
          ends.push(cause.code);
          resolve();
        },
        onFault: () => undefined,
      });
    });
    expect(ends).toEqual(["connect_failed"]);
  });

  it("terminates an open transport", async () => {
    const gone = new Promise<void>((resolve) => {
      void webSocketServer((socket) => socket.once("close", () => resolve())).then((url) =>
        dialAll([planOf(url)], (_transport, redial) => redial.close()),
      );
    });
    await gone;
  });
});

it("an exception in the decision on the next dial ends it and is told", async () => {
  const fault = new Error("a bug");
  const told = await new Promise((resolve) => {
    new Redial({
      nextDial: () => Promise.reject(fault),
      onOpen: () => undefined,
      onOver: () => undefined,
      onFault: resolve,
    });
  });
  expect(told).toBe(fault);
});
