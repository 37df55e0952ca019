// The library's own types describe its CommonJS build as an ES module with a default export; under `nodenext` that makes
// the class unusable. These are the parts that redial.ts uses.
declare module "reconnecting-websocket" {
  interface Options {
    WebSocket: unknown;
    minReconnectionDelay: number;
    maxReconnectionDelay: number;
    reconnectionDelayGrowFactor: number;
    minUptime: number;
    connectionTimeout: number;
    maxEnqueuedMessages: number;
  }

  class ReconnectingWebSocket {
    constructor(url: () => Promise<string>, protocols: string, options: Options);
    binaryType: string;
    close(): void;
  }

  export = ReconnectingWebSocket;
}
