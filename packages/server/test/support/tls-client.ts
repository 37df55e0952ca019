import { once } from "node:events";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";

/** A TLS client by hand, which trusts whoever answers. @throws what went wrong before the handshake was done. */
export async function tlsClient(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
  await once(socket, "secureConnect");
  socket.on("error", () => undefined);
  return socket;
}

/** The code of the failure, or the version that was spoken. */
export async function tlsOutcome(port: number, options: ConnectionOptions = {}): Promise<string | null> {
  try {
    const socket = await tlsClient(port, options);
    const version = socket.getProtocol();
    socket.destroy();
    return version;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}
