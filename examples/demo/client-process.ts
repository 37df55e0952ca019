import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { Client, CONNECT, LISTEN, type Tunnel } from "@culvert/client";
import { play, tell } from "./role.ts";
import { createService } from "./service.ts";
import { QUICK_TO_NOTICE, USED_TO_TROUBLE } from "./session.ts";

// The side that can only dial out: the client, and the workshop that only it can reach.
await play(async ({ token, serverUrl, target, connectPort, listenPort }) => {
  const service = createService("the workshop").listen(0, "127.0.0.1");
  await once(service, "listening");
  const { port } = service.address() as AddressInfo;
  const client = new Client({
    server: serverUrl!,
    token,
    session: QUICK_TO_NOTICE,
    retry: USED_TO_TROUBLE,
    tunnels: [
      { mode: CONNECT, listen: `127.0.0.1:${connectPort}`, connect: target! },
      { mode: LISTEN, listen: `127.0.0.1:${listenPort}`, connect: `127.0.0.1:${port}` },
    ],
  });
  await client.start();
  client.on("state", ({ current }) => {
    if (current === "open" || current === "detached") tell({ type: current });
  });
  const [connect, listen] = client.tunnels as [Tunnel, Tunnel];
  return {
    ready: {
      type: "ready",
      pid: process.pid,
      connectUrl: connect.address!.replace("tcp:", "http:"),
      listenUrl: listen.address!.replace("tcp:", "http:"),
    },
    stats: () => {
      const { sessions, session } = client.stats();
      return { sessions, link: session!.link };
    },
    close: async () => {
      service.closeAllConnections();
      service.close();
      await client.close({ drainMs: 0 });
    },
  };
});
