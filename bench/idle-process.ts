// A bare Node process that accepts connections and keeps them: what idle sockets cost without a tunnel. Says its port.
import { createServer, type Socket } from "node:net";

const kept = new Set<Socket>();
const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
  kept.add(socket);
  socket.on("error", () => undefined);
  socket.on("close", () => kept.delete(socket));
  socket.on("data", (chunk) => socket.write(chunk));
});
server.listen({ host: "127.0.0.1", port: 0, backlog: 4096 }, () => {
  process.send?.((server.address() as { port: number }).port);
});
process.once("disconnect", () => process.exit());
