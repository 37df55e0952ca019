import { newLoginKey, verifyLogin } from "@culvert/peer";
import { keyChallengeHeader, keyLoginInput, parseKeyLogin } from "@culvert/protocol";
import { describe, expect, it } from "vitest";
import { resolveClientOptions } from "../src/client-options.ts";
import { QUICK, watchedClient } from "./support/clients.ts";
import { refuse, ScriptedServer } from "./support/scripted-server.ts";
import { httpServer } from "./support/servers.ts";

const { pem, publicText } = newLoginKey();
const CHALLENGE = "a-challenge-of-some-length";

interface Seen {
  readonly authorization: string | undefined;
  readonly url: string | undefined;
}

/** A server that refuses everybody, with what `answer` says to the n-th request. */
async function refusing(
  headersOf: (n: number) => Record<string, string>,
  status = 401,
): Promise<{ url: URL; seen: Seen[] }> {
  const seen: Seen[] = [];
  const url = await httpServer((request, response) => {
    seen.push({ authorization: request.headers.authorization, url: request.url });
    response.writeHead(status, headersOf(seen.length)).end();
  });
  return { url, seen };
}

describe("a client with a key", () => {
  it("shows nothing at first, then signs the challenge and the name that it dialed; once for each attempt", async () => {
    const { url, seen } = await refusing((n) => ({
      "WWW-Authenticate": `Bearer realm="culvert", ${keyChallengeHeader(`${CHALLENGE}-${n}`)}`,
    }));
    const { client } = watchedClient({ server: `${url.href}tunnel?route=a`, key: pem });
    await expect(client.start()).rejects.toMatchObject({
      code: "unauthorized",
      message: expect.stringMatching(/does it know the key, and itself by the name in this URL\?/),
    });
    expect(seen.map(({ url: asked }) => asked)).toEqual(["/tunnel?route=a", "/tunnel?route=a"]);
    expect(seen[0]?.authorization).toBeUndefined();
    const login = parseKeyLogin(seen[1]?.authorization ?? "");
    expect(login).toMatchObject({ key: publicText.slice(8), challenge: `${CHALLENGE}-1`, host: url.host });
    const input = keyLoginInput({ challenge: `${CHALLENGE}-1`, host: url.host, path: "/tunnel" });
    expect(verifyLogin(publicText, input, Buffer.from(login?.signature ?? "", "base64"))).toBe(true);
  });

  it("the second request is no retry: it waits for nothing, and the first is no failure", async () => {
    const { url, seen } = await refusing(() => ({ "WWW-Authenticate": keyChallengeHeader(CHALLENGE) }));
    // Were it one, the limit of attempts would end it before.
    const { client } = watchedClient({
      server: url.href,
      key: pem,
      retry: { ...QUICK, maxAttempts: 1, baseMs: 3_600_000, capMs: 3_600_000 },
    });
    await expect(client.start()).rejects.toMatchObject({ code: "unauthorized" });
    expect(seen).toHaveLength(2);
  });

  it.each([
    ["no challenge", {}],
    ["another one's challenge", { "WWW-Authenticate": 'Digest nonce="abcdefghijklmnopqrstuvwxyz"' }],
    [
      "a challenge that is a sentence",
      { "WWW-Authenticate": 'Culvert-Key challenge="I owe you 1000 coins"' },
    ],
  ])("signs nothing for %s", async (_what, headers) => {
    const { url, seen } = await refusing(() => headers);
    const { client } = watchedClient({ server: url.href, key: pem });
    await expect(client.start()).rejects.toMatchObject({
      code: "unauthorized",
      message: expect.stringMatching(/takes no login by key/),
    });
    expect(seen).toHaveLength(1);
  });

  it("a server that does not know its challenge any more is dialed again, as one that is away", async () => {
    const { url, seen } = await refusing((n) => ({
      "WWW-Authenticate": keyChallengeHeader(CHALLENGE, n < 5),
    }));
    const { client } = watchedClient({ server: url.href, key: pem });
    await expect(client.start()).rejects.toMatchObject({ code: "unauthorized" });
    expect(seen).toHaveLength(6);
  });

  it("signs nothing for what comes with another status", async () => {
    const { url, seen } = await refusing(() => ({ "WWW-Authenticate": keyChallengeHeader(CHALLENGE) }), 403);
    const { client } = watchedClient({ server: url.href, key: pem });
    await expect(client.start()).rejects.toMatchObject({ code: "refused_by_server" });
    expect(seen).toHaveLength(1);
  });

  it("T4: where a redirect leads it signs for that name only, and for no other host than it may go to", async () => {
    const other = await refusing(() => ({ "WWW-Authenticate": keyChallengeHeader(CHALLENGE) }));
    const server = await ScriptedServer.start();
    server.answers.push(refuse({ code: "session_limit", redirect: other.url.href }));
    const { client } = watchedClient({ server: server.url, key: pem });
    await expect(client.start()).rejects.toMatchObject({ code: "unauthorized" });
    expect(parseKeyLogin(other.seen[1]?.authorization ?? "")).toMatchObject({ host: other.url.host });
  });

  it("closing it between the two requests ends it", async () => {
    let close: (() => Promise<void>) | undefined;
    let requests = 0;
    const url = await httpServer((_request, response) => {
      requests += 1;
      void close?.();
      response.writeHead(401, { "WWW-Authenticate": keyChallengeHeader(CHALLENGE) }).end();
    });
    const { client, reaches } = watchedClient({ server: url.href, key: pem });
    close = () => client.close({ drainMs: 0 });
    await expect(client.start()).rejects.toMatchObject({ code: "aborted" });
    await reaches("closed");
    expect(requests).toBe(1);
  });
});

describe("a token that is a function", () => {
  it("F48: is asked before each dial, and what it says then counts", async () => {
    const server = await ScriptedServer.start();
    server.answers.push(refuse({ code: "shutting_down" }));
    const tokens = ["first", "second"];
    const { client } = watchedClient({ server: server.url, token: async () => tokens.shift() ?? "none" });
    await client.start();
    expect(server.arrivals.map(({ headers }) => headers.authorization)).toEqual([
      "Bearer first",
      "Bearer second",
    ]);
  });

  it("that fails, or says what is no token, is a failed dial; it is not shown", async () => {
    const server = await ScriptedServer.start();
    const said: unknown[] = ["", "two words", 7, undefined];
    const { client } = watchedClient({
      server: server.url,
      token: () => said.shift() as string,
      retry: { ...QUICK, maxAttempts: 4 },
    });
    await expect(client.start()).rejects.toMatchObject({
      code: "attempts_exhausted",
      message: expect.not.stringContaining("two words"),
    });
    expect(server.arrivals).toEqual([]);
  });
});

describe("options", () => {
  const server = "ws://h/";

  it("a key excludes a token, and an Authorization of one's own", () => {
    expect(() => resolveClientOptions({ server, key: pem, token: "t" })).toThrow(/token and key exclude/);
    expect(() => resolveClientOptions({ server, key: pem, headers: { authorization: "x" } })).toThrow(
      /key and headers must not both/,
    );
  });

  it("T5: a key that cannot be read is refused, and not shown", () => {
    const secret = pem.split("\n")[1] ?? "";
    for (const key of ["", secret, pem.replace("PRIVATE", "PUBLIC"), 7 as unknown as string]) {
      expect(() => resolveClientOptions({ server, key })).toThrow(
        expect.objectContaining({ code: "invalid_option", message: expect.not.stringContaining(secret) }),
      );
    }
    expect(resolveClientOptions({ server, key: Buffer.from(pem) }).key?.publicText).toBe(publicText);
  });
});
