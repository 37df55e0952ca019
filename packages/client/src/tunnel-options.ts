import type { TunnelStream } from "@culvert/peer";
import { checkTarget, type Endpoint, formatEndpoint, listenEndpoint, parseEndpoint } from "@culvert/protocol";
import { CONNECT, LISTEN, type Mode } from "./mode.ts";
import { invalidOption, OptionReader } from "./option-reader.ts";

/** What a callback of a LISTEN tunnel is told about a stream besides the stream. */
export interface StreamInfo {
  /** Where the visitor comes from, as endpoint text: what the server says. Undefined when it does not say. */
  readonly visitor: string | undefined;
  /** The tunnel that the visitor came through: its `listen` as it was given. */
  readonly listen: string;
  readonly name: string;
}

/** Takes the streams of a LISTEN tunnel in place of dialing. The callback owns the stream; if it throws, the stream is destroyed. */
export type StreamCallback = (stream: TunnelStream, info: StreamInfo) => void | Promise<void>;

/**
 * One tunnel. Endpoints are texts such as `127.0.0.1:8080`, `[::1]:22`, `tcp://host:80` or `unix:///run/x.sock`.
 */
export interface TunnelOptions {
  /** `CONNECT`: this client listens, the server dials. `LISTEN`: the server listens, this client dials. */
  readonly mode: Mode;
  /** Where to listen, on the side that listens. Port 0 takes a free one, and the same again after a new session if it can. */
  readonly listen: string;
  /** What the other side dials for each visitor; with LISTEN also a callback that gets each stream. */
  readonly connect: string | StreamCallback;
  /** For logs on both sides. Default: `listen`. */
  readonly name?: string;
}

/** A checked tunnel. */
export interface TunnelSpec {
  readonly mode: Mode;
  readonly listen: Endpoint;
  readonly connect: Endpoint | StreamCallback;
  readonly name: string;
}

const KEYS: readonly string[] = ["mode", "listen", "connect", "name"];

/** @throws CulvertError `invalid_option` or `bad_address`, naming the option behind `path` (`"tunnels[2]."`). */
export function resolveTunnelOptions(given: unknown, path = ""): TunnelSpec {
  const read = new OptionReader(given, path, KEYS);
  const mode = read.get("mode");
  if (mode !== CONNECT && mode !== LISTEN) {
    throw read.fault("mode", `CONNECT ("${CONNECT}") or LISTEN ("${LISTEN}")`, mode);
  }
  const listen = endpointOf(read, "listen");
  const connect = read.get("connect");
  const name = read.optionalText("name", 1, 255) ?? formatEndpoint(listen);
  if (typeof connect !== "function") {
    return Object.freeze({ mode, listen, connect: endpointOf(read, "connect"), name });
  }
  if (mode === CONNECT) {
    throw invalidOption(
      `${read.path("connect")} must be an endpoint: the server dials it; a callback needs mode LISTEN`,
    );
  }
  return Object.freeze({ mode, listen, connect: connect as StreamCallback, name });
}

function endpointOf(read: OptionReader, key: "listen" | "connect"): Endpoint {
  const text = read.get(key);
  if (typeof text !== "string") throw read.fault(key, "an endpoint such as 127.0.0.1:8080", text);
  if (key === "listen") return listenEndpoint(text, read.path(key));
  const endpoint = parseEndpoint(text, read.path(key));
  checkTarget(endpoint, read.path(key));
  return endpoint;
}

/** `connect` as text; callbacks have none. */
export function connectText(connect: Endpoint | StreamCallback): string {
  return typeof connect === "function" ? "callback" : formatEndpoint(connect);
}

/** Are these the same tunnel? Its name is no part of it. */
export function isSameTunnel(a: TunnelSpec, b: TunnelSpec): boolean {
  if (a.mode !== b.mode || formatEndpoint(a.listen) !== formatEndpoint(b.listen)) return false;
  if (typeof a.connect === "function" || typeof b.connect === "function") return a.connect === b.connect;
  return formatEndpoint(a.connect) === formatEndpoint(b.connect);
}
