// LISTEN mode: the server listens, the client dials.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Client, LISTEN } from "@culvert/client";
import { Server } from "@culvert/server";

// Server and client must know the same secret; without it nobody gets in.
const token = randomBytes(32).toString("base64url");

// -- The public machine: others can connect to it. Here it is this machine.

await using server = new Server({ port: 0, token });
await server.start();

// -- Behind the firewall: nobody can connect to this service from outside, but the client can connect to the server.

const service = createServer((request, response) => {
  response.end(`The printer takes ${request.method} ${request.url}\n`);
}).listen(0, "127.0.0.1");
await once(service, "listening");
const { port } = service.address() as AddressInfo;

await using client = new Client({
  server: server.address!.url,
  token,
  mode: LISTEN,
  listen: "127.0.0.1:0", // opened by the server; 0 takes a free port
  connect: `127.0.0.1:${port}`, // dialed here, for each visitor over there
});
await client.start();

// -- Anybody who can reach the public machine.

const exposed = client.tunnels[0]!.address!.replace("tcp:", "http:");
console.log(`the service     http://127.0.0.1:${port} on the client's side`);
console.log(`reached through ${exposed} on the server's side`);

const answer = await (await fetch(`${exposed}/tray/2`, { method: "POST" })).text();
console.log(`POST ${exposed}/tray/2\n  ${answer.trim()}`);
assert.equal(answer, "The printer takes POST /tray/2\n");

if (process.argv.includes("--stay")) {
  const interrupted = once(process, "SIGINT");
  console.log(`try it:  curl -X POST ${exposed}/tray/2   (Ctrl-C ends)`);
  await interrupted;
}
service.close();
console.log("done");
