// What tunnels lead to, as a process of its own: what is measured must not share a thread with what measures.
// Prints the ports of its servers, which behave differently, as JSON.
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import type { TargetPorts } from "./targets.ts";

const BLOCK = Buffer.alloc(256 * 1024, "x");

/** Sends back what comes, and its end. */
function echo(socket: Socket): void {
  socket.pipe(socket);
}

/** Says nothing until the visitor has ended its direction, as sort(1) would; then how many bytes came. */
function answerAfterEnd(socket: Socket): void {
  let bytes = 0;
  socket.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
  });
  socket.once("end", () => socket.end(`${bytes}\n`));
}

/** Takes a number and a line feed, and sends so many bytes; again and again. */
function serve(socket: Socket): void {
  let asked = "";
  socket.on("data", (chunk: Buffer) => {
    asked += chunk.toString("latin1");
    for (;;) {
      const end = asked.indexOf("\n");
      if (end < 0) return;
      let missing = Math.min(Number(asked.slice(0, end)), 2 ** 26);
      asked = asked.slice(end + 1);
      for (; missing > 0; missing -= BLOCK.length) socket.write(BLOCK.subarray(0, missing));
    }
  });
  socket.once("end", () => socket.end());
}

async function listen(onSocket: (socket: Socket) => void): Promise<number> {
  const server: Server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    onSocket(socket);
  });
  server.listen({ host: "127.0.0.1", port: 0, backlog: 4096 });
  await once(server, "listening");
  return (server.address() as { port: number }).port;
}

const ports: Omit<TargetPorts, "iperf"> = {
  echo: await listen(echo),
  answer: await listen(answerAfterEnd),
  serve: await listen(serve),
};
process.send?.(ports);
process.once("disconnect", () => process.exit());
