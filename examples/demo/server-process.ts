import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { Server } from "@culvert/server";
import { play } from "./role.ts";
import { createService } from "./service.ts";
import { QUICK_TO_NOTICE } from "./session.ts";

// The public side: the tunnel server, and the warehouse that only it can reach.
await play(async ({ token }) => {
  const service = createService("the warehouse").listen(0, "127.0.0.1");
  await once(service, "listening");
  const server = new Server({ port: 0, token, session: QUICK_TO_NOTICE });
  await server.start();
  return {
    ready: {
      type: "ready",
      pid: process.pid,
      port: server.address!.port,
      servicePort: (service.address() as AddressInfo).port,
    },
    stats: () => {
      const [session, ...more] = server.sessions();
      return { sessions: 1 + more.length, link: session!.link };
    },
    close: async () => {
      service.closeAllConnections();
      service.close();
      await server.close({ drainMs: 0 });
    },
  };
});
