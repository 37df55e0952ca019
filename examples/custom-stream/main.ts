// Streams instead of ports: the client's side opens none at all, and the server's side only names in the file system.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { Client, LISTEN } from "@culvert/client";
import { Server } from "@culvert/server";

const token = randomBytes(32).toString("base64url");
const folder = await mkdtemp(join(tmpdir(), "culvert-"));

// -- The server's side: the tunnel server, and a service on a Unix socket.

await using server = new Server({ port: 0, token });
await server.start();

const clock = createServer((_request, response) => response.end("noon\n"));
clock.listen(join(folder, "clock.sock"));
await once(clock, "listening");

// -- The client's side. Streams of visitors come to a callback: here an HTTP server that listens nowhere takes them for
// connections. Any code that can handle a Duplex would do.

const oracle = createServer(async (asked, response) => {
  response.end(`You asked: ${await text(asked)}\n`);
});

await using client = new Client({
  server: server.address!.url,
  token,
  mode: LISTEN,
  listen: `unix://${folder}/oracle.sock`, // on the server's side
  connect: (stream, { visitor }) => {
    console.log(`a visitor came, ${visitor ?? "from nowhere in particular"}`);
    oracle.emit("connection", stream);
  },
});
await client.start();

// The other way round: `dial` gives a stream to anything that the server can reach. HTTP takes it for a socket.

const time = await ask(client.dial(`unix://${folder}/clock.sock`), "");
console.log(`the client asked the clock beyond the server: ${time.trim()}`);
assert.equal(time, "noon\n");

// -- Back on the server's side: somebody visits the oracle.

const saying = await ask(connect(join(folder, "oracle.sock")), "will it hold?");
console.log(`the oracle beyond the client said: ${saying.trim()}`);
assert.equal(saying, "You asked: will it hold?\n");

if (process.argv.includes("--stay")) {
  const interrupted = once(process, "SIGINT");
  console.log(`try it:  curl --unix-socket ${folder}/oracle.sock -d "why?" http://oracle/   (Ctrl-C ends)`);
  await interrupted;
}
clock.close();
await client.close();
await rm(folder, { recursive: true });
console.log("done");

/** One HTTP request over any stream. */
async function ask(stream: Duplex, question: string): Promise<string> {
  const asking = request({ createConnection: () => stream, method: "POST" }).end(question);
  const [response] = await once(asking, "response");
  return text(response);
}
