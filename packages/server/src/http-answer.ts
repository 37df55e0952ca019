import { type ServerResponse, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";

/** A short answer in plain text, after which the connection closes. */
export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** How long a refused client may take to read its answer and close. */
const LINGER_MS = 1000;

/** Answers a plain request. */
export function sendAnswer(response: ServerResponse, answer: HttpAnswer): void {
  response.writeHead(answer.status, headersOf(answer));
  response.end(bodyOf(answer));
}

/**
 * Answers an upgrade request on its raw socket. The socket is read on until the client closes, for a moment at most:
 * closing with unread input would make the kernel reset the connection and drop the answer with it.
 */
export function writeAnswer(socket: Duplex, answer: HttpAnswer): void {
  const head = Object.entries(headersOf(answer)).map(([name, value]) => `${name}: ${value}\r\n`);
  const text = `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status] ?? ""}\r\n${head.join("")}\r\n${bodyOf(answer)}`;
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once("close", () => clearTimeout(timer));
  socket.once("end", () => socket.destroy());
  socket.end(text);
  socket.resume();
}

function bodyOf(answer: HttpAnswer): string {
  return `${answer.text}\n`;
}

function headersOf(answer: HttpAnswer): Record<string, string> {
  return {
    Connection: "close",
    "Content-Type": "text/plain; charset=utf-8",
    "Content-Length": String(Buffer.byteLength(bodyOf(answer))),
    "Cache-Control": "no-store",
    ...answer.headers,
  };
}
