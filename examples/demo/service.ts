import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { Meter } from "./meter.ts";
import { pseudoRandom } from "./pseudo-random.ts";
import { MIB } from "./units.ts";

/** What a service says about an upload. */
export interface UploadReceipt {
  readonly bytes: number;
  readonly sha256: string;
  readonly longestStallMs: number;
}

/**
 * An ordinary HTTP service that has never heard of tunnels.
 *
 *     GET /            a greeting
 *     GET /bytes/100   100 MiB, with their SHA-256 in the trailer
 *     PUT /bytes       takes what comes and answers with an UploadReceipt
 */
export function createService(name: string): Server {
  return createServer((request, response) => {
    answer(name, request, response).catch(() => response.destroy()); // the visitor left: nobody to tell
  });
}

async function answer(name: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const mib = /^\/bytes\/(\d{1,6})$/.exec(request.url ?? "")?.[1];
  if (request.method === "GET" && request.url === "/") response.end(`Hello from ${name}!\n`);
  else if (request.method === "GET" && mib !== undefined) await send(response, name, Number(mib));
  else if (request.method === "PUT" && request.url === "/bytes") await receive(request, response);
  else response.writeHead(404).end("GET /, GET /bytes/<MiB> or PUT /bytes\n");
}

async function send(response: ServerResponse, name: string, mib: number): Promise<void> {
  const meter = new Meter();
  // The hash is known at the end only, and a trailer comes at the end.
  response.writeHead(200, { "content-type": "application/octet-stream", trailer: "content-sha256" });
  await pipeline(pseudoRandom(name, mib * MIB), meter.pass, response, { end: false });
  response.addTrailers({ "content-sha256": meter.sha256 });
  response.end();
}

async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const meter = new Meter();
  await meter.drain(request);
  const { bytes, sha256, longestStallMs } = meter;
  const receipt: UploadReceipt = { bytes, sha256, longestStallMs };
  response.end(JSON.stringify(receipt));
}
