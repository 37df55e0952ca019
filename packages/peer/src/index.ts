export { type DialOptions, dial } from "./dialer.ts";
export {
  type DialDecision,
  DialingSide,
  type DialingSideOptions,
  type DialingStats,
  type DialWatch,
} from "./dialing-side.ts";
export { FairRoom, type RoomShare } from "./fair-room.ts";
export { Link, type LinkOptions, type LinkStats, type TunnelHandler, type TunnelRequest } from "./link.ts";
export { Listener, type ListenerOptions, type Visitor } from "./listener.ts";
export { Listeners } from "./listeners.ts";
export {
  ListeningTunnel,
  type ListeningTunnelOptions,
  type ListeningTunnelStats,
  type VisitorWatch,
} from "./listening-tunnel.ts";
export { type LogFields, type Logger, type LogMethod, silentLogger } from "./logger.ts";
export { type LoginKey, newLoginKey, readLoginKey, verifyLogin } from "./login-key.ts";
export { LookupShare, setThreadPoolSize } from "./lookup-share.ts";
export { makeProof, newInstanceId, newSecret, verifyProof } from "./proof.ts";
export { cutToBytes, safeText, withEscapes } from "./safe-text.ts";
export { SleepWatch } from "./sleep-watch.ts";
export { type PipeResult, SocketPipe, type SocketPipeOptions } from "./socket-pipe.ts";
export type { Transport, TransportHandler } from "./transport.ts";
export { TunnelStream, type TunnelStreamOptions } from "./tunnel-stream.ts";
export { type WebSocketLike, webSocketTransport } from "./web-socket-transport.ts";
