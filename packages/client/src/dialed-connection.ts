import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { checkServerIdentity, connect as connectTls, type TLSSocket } from "node:tls";
import { CulvertError } from "@culvert/protocol";
import { defaultClientTls } from "./client-tls.ts";
import type { DialPlan } from "./dial.ts";
import { trustFault } from "./server-trust.ts";
import { shownUrl } from "./server-url.ts";

/**
 * Opens the connection under a WebSocket, up to where HTTP begins: by the connector if there is one, with TLS for a `wss:` URL.
 * What it returns was judged: not one byte of the upgrade request, which may carry a token, is written before that. A socket
 * that HTTP got earlier would hold them, ready to go when the handshake is done: then it would be a matter of luck.
 * @throws CulvertError `untrusted_server`, `cancelled` when the signal is aborted; otherwise what the system says.
 */
export async function openConnection(plan: DialPlan, signal: AbortSignal): Promise<Duplex> {
  const { url, connector } = plan;
  const raw = await connector?.({ url, attempt: plan.attempt, signal });
  // Between here and the moment that the HTTP client takes it over nobody else would hear an 'error'.
  raw?.on("error", ignore);
  if (signal.aborted) {
    raw?.destroy();
    throw new CulvertError("cancelled");
  }
  if (url.protocol === "wss:") return await secure(plan, raw, signal);
  if (raw === undefined) throw new CulvertError("internal_error", "a plain connection needs a connector");
  return raw;
}

async function secure(
  { url, tls = defaultClientTls() }: DialPlan,
  raw: Duplex | undefined,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const name = tls.serverName ?? host;
  const socket = connectTls({
    ...(raw === undefined ? { host, port: Number(url.port || 443) } : { socket: raw }),
    secureContext: tls.context,
    // RFC 6066 section 3: no addresses.
    ...(isIP(name) === 0 ? { servername: name } : {}),
    checkServerIdentity: (_name, certificate) => checkServerIdentity(name, certificate),
    // The handshake goes to its end, and then trustFault decides: it sees what the server showed, and can say what is wrong.
    rejectUnauthorized: false,
  });
  const giveUp = (): void => void socket.destroy(new CulvertError("cancelled"));
  // For life, as above.
  socket.on("error", ignore);
  raw?.once("error", (error) => socket.destroy(error));
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    await handshakeOf(socket);
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
  const fault = trustFault(socket, tls, { where: shownUrl(url), name, now: Date.now() });
  if (fault === undefined) return socket;
  socket.destroy();
  throw fault;
}

/** Resolves when it is done, rejects when it failed. */
function handshakeOf(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("secureConnect", resolve);
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("closed during the TLS handshake")));
  });
}

function ignore(): void {}
