import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { parseEndpoint } from "@culvert/protocol";
import { onTestFinished } from "vitest";

/** Connects to an address such as a tunnel tells. */
export function visit(address: string | undefined): Socket {
  const endpoint = parseEndpoint(address ?? "");
  if (endpoint.scheme !== "tcp") throw new Error("only tcp here");
  const socket = connect(endpoint.port, endpoint.host);
  socket.on("error", () => undefined);
  onTestFinished(() => void socket.destroy());
  return socket;
}

/** Sends bytes and waits until as many have come back. */
export async function echoed(socket: NodeJS.ReadWriteStream, text: string): Promise<string> {
  let got = "";
  const done = new Promise<string>((resolve, reject) => {
    const onData = (chunk: Buffer): void => {
      got += chunk.toString();
      if (got.length < text.length) return;
      socket.off("data", onData);
      resolve(got);
    };
    socket.on("data", onData);
    socket.once("close", () => reject(new Error(`closed after ${JSON.stringify(got)}`)));
  });
  socket.write(text);
  return done;
}

/** How a connection ends: "end" in good order, or the code of the error. */
export async function endOf(socket: Socket): Promise<string> {
  socket.resume();
  return new Promise((resolve) => {
    socket.once("end", () => resolve("end"));
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}

/** A TCP server on a free port of loopback. */
export async function tcpTarget(
  onSocket: (socket: Socket) => void,
): Promise<{ address: string; server: Server }> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    onSocket(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}
