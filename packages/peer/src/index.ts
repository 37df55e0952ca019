export { Link, type LinkOptions, type LinkStats, type TunnelHandler, type TunnelRequest } from "./link.ts";
export { SleepWatch } from "./sleep-watch.ts";
export type { Transport, TransportHandler } from "./transport.ts";
export { type WebSocketLike, webSocketTransport } from "./web-socket-transport.ts";
