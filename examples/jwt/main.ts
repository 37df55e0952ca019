// Clients show a JSON Web Token of your own issuer; a function of the server's owner says what it is worth.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Client, CONNECT, CulvertError } from "@culvert/client";
import { type AuthenticateHook, Server } from "@culvert/server";
import { generateKeyPair, jwtVerify, SignJWT } from "jose";

// -- The issuer: whatever signs tokens for your people already. Only its public key leaves it.

const ISSUER = "https://login.example";
const AUDIENCE = "tunnels";
const issuer = await generateKeyPair("EdDSA");

/** A token for one hour: who it is for, and what may be reached with it. */
async function issue(subject: string, connect: readonly string[], key = issuer.privateKey): Promise<string> {
  return await new SignJWT({ connect })
    .setProtectedHeader({ alg: "EdDSA" })
    .setSubject(subject)
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setIssuedAt()
    .setExpirationTime("1 hour")
    .sign(key);
}

// -- The server: asks this function for every connection. What it throws lets nobody in.

const authenticate: AuthenticateHook = async ({ bearer }) => {
  if (bearer === undefined) return undefined;
  const { payload } = await jwtVerify<{ connect?: string[] }>(bearer, issuer.publicKey, {
    issuer: ISSUER,
    audience: AUDIENCE,
    algorithms: ["EdDSA"], // name them: a token must not choose how it is checked
    requiredClaims: ["sub", "exp"],
  });
  const { sub: name = "", exp = 0, connect: allow = [] } = payload;
  return { name, expiresAt: exp * 1000, grants: { connect: { allow } } };
};

const service = createServer((request, response) => {
  response.end(`The archive answers ${request.method} ${request.url}\n`);
}).listen(0, "127.0.0.1");
await once(service, "listening");
const target = `127.0.0.1:${(service.address() as AddressInfo).port}`;

await using server = new Server({ port: 0, authenticate });
await server.start();
const { url } = server.address!;

// -- A client. It asks the issuer for a token before each dial, so that none is ever too old when the WebSocket drops.

await using client = new Client({
  server: url,
  token: () => issue("alice", [target]),
  mode: CONNECT,
  listen: "127.0.0.1:0",
  connect: target,
});
await client.start();

const [session] = server.sessions();
console.log(`let in      ${session?.owner}, by ${session?.credential}`);
assert.equal(session?.owner, "hook:alice");

const local = client.tunnels[0]!.address!.replace("tcp:", "http:");
const answer = await (await fetch(`${local}/box/7`)).text();
console.log(`GET ${local}/box/7\n  ${answer.trim()}`);
assert.equal(answer, "The archive answers GET /box/7\n");

// -- Somebody else, with a token that somebody else has signed.

const forger = await generateKeyPair("EdDSA");
await using stranger = new Client({ server: url, token: () => issue("alice", ["*:*"], forger.privateKey) });
const refusal = await stranger.start().catch((error: unknown) => error);
assert.ok(refusal instanceof CulvertError && refusal.code === "unauthorized");
console.log(`refused     ${refusal.message}`);

if (process.argv.includes("--stay")) {
  const interrupted = once(process, "SIGINT");
  console.log(`try it:  curl ${local}/box/7   (Ctrl-C ends)`);
  await interrupted;
}
service.close();
console.log("done");
