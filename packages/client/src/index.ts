export { newLoginKey, type TunnelStream } from "@culvert/peer";
export { CulvertError, type ErrorCode } from "@culvert/protocol";
export {
  Client,
  type ClientEvent,
  type ClientEventOf,
  type ClientEventType,
  type ClientStats,
} from "./client.ts";
export {
  CLIENT_DEFAULTS,
  type ClientOptions,
  type Redirects,
  type ResolvedClientOptions,
  resolveClientOptions,
} from "./client-options.ts";
export type { ClientState } from "./client-state.ts";
export type { ClientTlsOptions } from "./client-tls.ts";
export type { Connector, ConnectRequest } from "./dial.ts";
export type { AttemptInfo, HeadersProvider, ServerProvider, TokenProvider } from "./dial-provider.ts";
export { CONNECT, LISTEN, type Mode } from "./mode.ts";
export { isPlainText } from "./plain-text.ts";
export { RETRY_DEFAULTS, type ResolvedRetryOptions, type RetryOptions } from "./retry-options.ts";
export type { Tunnel, TunnelEvent, TunnelState } from "./tunnel.ts";
export type { StreamCallback, StreamInfo, TunnelOptions, TunnelSpec } from "./tunnel-options.ts";
