export type { Logger } from "@culvert/peer";
export { CulvertError, type ErrorCode, type SessionOptions } from "@culvert/protocol";
export type { AuditFact, AuditRecord } from "./audit-record.ts";
export type { AuthenticatedAs, AuthenticateHook, AuthenticationRequest } from "./authenticate-hook.ts";
export type { Identity } from "./identity.ts";
export { type NewToken, newToken, tokenDigest } from "./login-token.ts";
export type { ServerAddress } from "./own-endpoint.ts";
export { type PeerCertificate, peerCertificateOf } from "./peer-certificate.ts";
export { Server, type ServerStats } from "./server.ts";
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
export type { SessionInfo } from "./server-session.ts";
export type { ServerTlsOptions, SniCallback } from "./server-tls.ts";
export type { TunnelInfo } from "./session-tunnels.ts";
