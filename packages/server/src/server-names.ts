import type { X509Certificate } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { isProxied } from "./arrival-path.ts";
import { pathOf } from "./request-path.ts";

interface PublicName {
  readonly host: string;
  /** Undefined: the path of the request. */
  readonly path: string | undefined;
}

/**
 * Under which names this server may be dialed. A client that logs in by key signs the name that it dialed, and only the
 * right server takes that: one that passes our challenge on to its own clients gets signatures for its own name. The
 * request's `Host` says nothing here, since who passes a challenge on writes that as he likes.
 *
 * A name is ours when it is one of `publicNames`, when the certificate that this connection was opened with is for it, or when
 * it is the very address and port that the connection came to.
 */
export class ServerNames {
  readonly #names: readonly PublicName[];

  /** @param publicNames `host`, `host:port`, each with a path behind it where a proxy changes that. */
  constructor(publicNames: readonly string[]) {
    this.#names = publicNames.map((name) => {
      const slash = name.indexOf("/");
      const host = slash === -1 ? name : name.slice(0, slash);
      return {
        host: withoutDefaultPort(host.toLowerCase()),
        path: slash === -1 ? undefined : name.slice(slash),
      };
    });
  }

  /** The paths that a client may have dialed with that host, to come out at this request; none: the host is not ours. */
  pathsOf(host: string, request: IncomingMessage, socket: Duplex): readonly string[] {
    const requested = pathOf(request);
    const paths = this.#names
      .filter((name) => name.host === withoutDefaultPort(host))
      .map(({ path }) => path ?? requested);
    if (isCertified(host, socket) || (isReached(host, socket) && !isProxied(request))) paths.push(requested);
    return [...new Set(paths)];
  }
}

function isCertified(host: string, socket: Duplex): boolean {
  const { getX509Certificate } = socket as Partial<Pick<TLSSocket, "getX509Certificate">>;
  const certificate: X509Certificate | undefined = getX509Certificate?.call(socket);
  if (certificate === undefined) return false;
  const { name } = split(host);
  return isIP(name) === 0
    ? certificate.checkHost(name, { subject: "never" }) !== undefined
    : certificate.checkIP(name) !== undefined;
}

/** Is it the address that the connection was made to? Not behind a proxy: then it is the proxy's way to us. */
function isReached(host: string, socket: Duplex): boolean {
  const { localAddress, localPort, encrypted } = socket as Partial<TLSSocket>;
  const { name, port } = split(host);
  if (localAddress === undefined || localPort !== (port ?? (encrypted === true ? 443 : 80))) return false;
  const local = localAddress.replace(/^::ffff:(?=[\d.]+$)/i, "");
  return name === local || (name === "localhost" && (local === "::1" || local.startsWith("127.")));
}

function split(host: string): { name: string; port: number | undefined } {
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d{1,5}))?$/.exec(host) ?? [];
  return { name: bracketed ?? plain ?? "", port: port === undefined ? undefined : Number(port) };
}

function withoutDefaultPort(host: string): string {
  return host.replace(/:(?:80|443)$/, "");
}
