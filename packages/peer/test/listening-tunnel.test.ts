import { once } from "node:events";
import { createServer } from "node:net";
import {
  CulvertError,
  formatEndpoint,
  type IncomingStream,
  type OpenRequest,
  parseEndpoint,
} from "@culvert/protocol";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Link } from "../src/link.ts";
import { ListeningTunnel } from "../src/listening-tunnel.ts";
import { silentLogger } from "../src/logger.ts";
import { linkPair } from "./support/link-pair.ts";
import { connectTo, listenOn, readAll, tracked } from "./support/sockets.ts";

const ANY = parseEndpoint("127.0.0.1:0");

async function listen(
  link?: Link,
  request: Pick<OpenRequest, "target" | "tunnelId"> = { target: "tcp://t:1" },
  maxVisitors = 100,
) {
  const tunnel = await ListeningTunnel.listen({
    listen: ANY,
    request,
    maxVisitors,
    logger: silentLogger,
    ...(link === undefined ? {} : { link }),
  });
  onTestFinished(() => tunnel.close());
  return { tunnel, visit: () => tracked(connectTo(formatEndpoint(tunnel.address))) };
}

function echo(incoming: IncomingStream): void {
  const stream = incoming.accept({
    onData: (chunk) => {
      stream.write(chunk);
      stream.consumed(chunk.length);
    },
    onEnd: () => stream.end(),
    onReset: () => undefined,
  });
}

describe("ListeningTunnel", () => {
  test.each([{ target: "tcp://srv:80" }, { tunnelId: 5 }])(
    "a visitor becomes a stream that says %j",
    async (request) => {
      const { client, server } = linkPair();
      const requests: OpenRequest[] = [];
      server.onStream = (incoming) => {
        requests.push(incoming.request);
        echo(incoming);
      };
      const { tunnel, visit } = await listen(client, request);
      const visitor = visit();
      visitor.end("there and back");
      expect((await readAll(visitor)).toString()).toBe("there and back");
      expect(requests).toMatchObject([
        { kind: "tcp", ...request, visitor: expect.stringMatching(/^tcp:\/\/127\.0\.0\.1:/) },
      ]);
      expect(tunnel.stats()).toMatchObject({ visitors: 1, failed: 0 });
    },
  );

  test("without a link, and with one that is over, visitors are reset at once", async () => {
    const { client, server } = linkPair();
    server.onStream = echo;
    const { tunnel, visit } = await listen();
    expect(await once(visit(), "error")).toMatchObject([{ code: "ECONNRESET" }]);
    tunnel.setLink(client);
    const served = visit();
    served.end("x");
    expect((await readAll(served)).toString()).toBe("x");
    client.close();
    expect(await once(visit(), "error")).toMatchObject([{ code: "ECONNRESET" }]);
    tunnel.setLink(undefined);
    expect(await once(visit(), "error")).toMatchObject([{ code: "ECONNRESET" }]);
    expect(tunnel.stats()).toMatchObject({ visitors: 4, failed: 3 });
  });

  test("while the link is detached visitors wait", async () => {
    const pair = linkPair();
    pair.server.onStream = echo;
    const { visit } = await listen(pair.client);
    const detached = new Promise<void>((resolve) => {
      pair.client.onDetached = () => resolve();
    });
    pair.cut();
    await detached;
    const visitor = visit();
    visitor.end("waited");
    await once(visitor, "connect");
    pair.attach();
    expect((await readAll(visitor)).toString()).toBe("waited");
  });

  test("a refused open resets the visitor", async () => {
    const { client, server } = linkPair();
    server.onStream = (incoming) => incoming.refuse("target_refused");
    const { visit } = await listen(client);
    expect(await once(visit(), "error")).toMatchObject([{ code: "ECONNRESET" }]);
  });

  test("too many that wait: the next is reset, those before are served", async () => {
    const pair = linkPair({ maxWaitingOpens: 1 });
    pair.server.onStream = echo;
    const { visit, tunnel } = await listen(pair.client);
    const detached = new Promise<void>((resolve) => {
      pair.client.onDetached = () => resolve();
    });
    pair.cut();
    await detached;
    const first = visit();
    first.end("first");
    await once(first, "connect");
    expect(await once(visit(), "error")).toMatchObject([{ code: "ECONNRESET" }]);
    pair.attach();
    expect((await readAll(first)).toString()).toBe("first");
    expect(tunnel.stats().failed).toBe(1);
  });

  test("too many at once: the next is reset, those before are served", async () => {
    const { client, server } = linkPair();
    server.onStream = echo;
    const { visit, tunnel } = await listen(client, { tunnelId: 1 }, 2);
    const [first, second] = [visit(), visit()];
    for (const each of [first, second]) {
      each.write("x");
      await once(each, "data");
    }
    expect(await once(visit(), "error")).toMatchObject([{ code: "ECONNRESET" }]);
    expect(tunnel.stats()).toMatchObject({ visitors: 2, open: 2 });
  });

  test("close frees the address and leaves connections alone", async () => {
    const { client, server } = linkPair();
    server.onStream = echo;
    const { tunnel, visit } = await listen(client);
    const visitor = visit();
    visitor.write("1");
    expect(String((await once(visitor, "data"))[0])).toBe("1");
    await tunnel.close();
    expect(await once(visit(), "error")).toMatchObject([{ code: "ECONNREFUSED" }]);
    visitor.write("2");
    expect(String((await once(visitor, "data"))[0])).toBe("2");
    expect(tunnel.stats().open).toBe(1);
  });

  test("an address in use is the rejection's code", async () => {
    const port = await listenOn(createServer());
    const endpoint = parseEndpoint(`127.0.0.1:${port}`);
    const attempt = ListeningTunnel.listen({
      listen: endpoint,
      request: {},
      maxVisitors: 1,
      logger: silentLogger,
    });
    const error = await attempt.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(CulvertError);
    expect(error).toMatchObject({ code: "address_in_use" });
  });
});
