export type { Logger } from "@culvert/peer";
export { CulvertError, type ErrorCode, type SessionOptions } from "@culvert/protocol";
export { type PeerCertificate, peerCertificateOf } from "./peer-certificate.ts";
export type { PolicyRequest, PolicyVerdict } from "./policy.ts";
export { Server, type ServerAddress, type ServerStats } from "./server.ts";
export type {
  ServerEvent,
  ServerEventOf,
  ServerEventType,
  ServerState,
  SessionIdentity,
  SessionState,
} from "./server-events.ts";
export {
  type ResolvedServerOptions,
  resolveServerOptions,
  SERVER_DEFAULTS,
  type ServerOptions,
} from "./server-options.ts";
export type { SessionInfo, TunnelInfo } from "./server-session.ts";
export type { ServerTlsOptions, SniCallback } from "./server-tls.ts";
