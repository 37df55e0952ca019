// CONNECT mode: the client listens, the server dials.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Client, CONNECT } from "@culvert/client";
import { Server } from "@culvert/server";

// Server and client must know the same secret; without it nobody gets in.
const token = randomBytes(32).toString("base64url");

// -- Network A: a service, and beside it the tunnel server. Here both are on this machine.

const service = createServer((request, response) => {
  response.end(`The inventory answers ${request.method} ${request.url}\n`);
}).listen(0, "127.0.0.1");
await once(service, "listening");
const { port } = service.address() as AddressInfo;

await using server = new Server({ port: 0, token });
await server.start();

// -- Network B: may only open connections to the outside. The client opens one WebSocket to the server.

await using client = new Client({
  server: server.address!.url,
  token,
  mode: CONNECT,
  listen: "127.0.0.1:0", // opened here; 0 takes a free port
  connect: `127.0.0.1:${port}`, // dialed by the server, so names are resolved over there
});
await client.start();

// -- Any program on network B: the service looks as if it were local.

const local = client.tunnels[0]!.address!.replace("tcp:", "http:");
console.log(`the service     http://127.0.0.1:${port} on the server's side`);
console.log(`reached through ${local} on the client's side`);

const answer = await (await fetch(`${local}/shelf/7`)).text();
console.log(`GET ${local}/shelf/7\n  ${answer.trim()}`);
assert.equal(answer, "The inventory answers GET /shelf/7\n");

if (process.argv.includes("--stay")) {
  const interrupted = once(process, "SIGINT");
  console.log(`try it:  curl ${local}/shelf/7   (Ctrl-C ends)`);
  await interrupted;
}
service.close();
console.log("done");
