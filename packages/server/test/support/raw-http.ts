import { once } from "node:events";
import { connect } from "node:net";

/** What a server answered on one connection, up to its end of it. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** Sends `text` as it stands, from that address of loopback, and reads until the server closes. */
export async function rawRequest(port: number, text: string, from = "127.0.0.1"): Promise<RawAnswer> {
  const socket = connect({ port, host: "127.0.0.1", localAddress: from });
  socket.setEncoding("latin1");
  let received = "";
  socket.on("data", (chunk: string) => {
    received += chunk;
  });
  socket.write(text);
  await once(socket, "end");
  socket.end();
  const [head = "", ...rest] = received.split("\r\n\r\n");
  const [statusLine = "", ...lines] = head.split("\r\n");
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    }),
  );
  return { status: Number(statusLine.split(" ")[1]), headers, body: rest.join("\r\n\r\n") };
}

/** The headers of a right upgrade request; `undefined` leaves one out. */
export function upgradeHeaders(changes: Readonly<Record<string, string | undefined>> = {}): string[] {
  const headers: Record<string, string | undefined> = {
    Host: "localhost",
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": "culvert.v1",
    ...changes,
  };
  return Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}`],
  );
}

/** A request head out of its lines. */
export function request(line: string, headers: readonly string[], body = ""): string {
  return `${line} HTTP/1.1\r\n${headers.join("\r\n")}\r\n\r\n${body}`;
}
