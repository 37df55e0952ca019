// The tunnel endpoint as one path of an application's own HTTP server, beside its routes and its own WebSockets.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Client, CONNECT } from "@culvert/client";
import { Server } from "@culvert/server";
import { WebSocketServer } from "ws";

// -- The application, as it was before: a page, and a WebSocket that shouts back. It needs no change.

const app = createServer((request, response) => {
  if (request.url === "/") response.end("the front page of the application\n");
  else response.writeHead(404).end("no such page\n");
});
const chat = new WebSocketServer({ server: app, path: "/chat" });
chat.on("connection", (socket) => {
  socket.on("message", (text) => socket.send(String(text).toUpperCase()));
});
app.listen(0, "127.0.0.1");
await once(app, "listening");
const { port } = app.address() as AddressInfo;

// -- What is new: tunnels at one path of it. Everything else stays as it was.

const token = randomBytes(32).toString("base64url");
await using tunnels = new Server({ token });
tunnels.mount(app, { path: "/tunnel" });

// -- Elsewhere: a client. Its tunnel leads to the application itself, for want of another service here.

await using client = new Client({
  server: `ws://127.0.0.1:${port}/tunnel`,
  token,
  mode: CONNECT,
  listen: "127.0.0.1:0",
  connect: `127.0.0.1:${port}`,
});
await client.start();

// -- All of it answers, on one port.

const url = `http://127.0.0.1:${port}`;
const front = await (await fetch(url)).text();
show(`GET ${url}/`, front);
assert.equal(front, "the front page of the application\n");

const shouted = await say("hello");
show(`ws  ${url}/chat`, `hello -> ${shouted}`);
assert.equal(shouted, "HELLO");

const hint = await fetch(`${url}/tunnel`);
show(`GET ${url}/tunnel`, `${hint.status} ${hint.statusText}`);
assert.equal(hint.status, 426);

const local = client.tunnels[0]!.address!.replace("tcp:", "http:");
const carried = await (await fetch(local)).text();
show(`GET ${local}/`, `${carried.trim()}, through the tunnel`);
assert.equal(carried, front);

if (process.argv.includes("--stay")) {
  const interrupted = once(process, "SIGINT");
  console.log(`try it:  curl ${url}/   curl -i ${url}/tunnel   curl ${local}/   (Ctrl-C ends)`);
  await interrupted;
}
// The application is closed by its owner. It hangs up idle connections, for which the tunnels would wait.
chat.close();
app.close();
await client.close();
await tunnels.close();
console.log("done");

function show(asked: string, answer: string): void {
  console.log(`${asked.padEnd(36)} ${answer.trim()}`);
}

/** One message to the chat, and what comes back. */
async function say(text: string): Promise<string> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/chat`);
  await once(socket, "open");
  socket.send(text);
  const [{ data }] = (await once(socket, "message")) as [MessageEvent];
  socket.close();
  await once(socket, "close");
  return String(data);
}
