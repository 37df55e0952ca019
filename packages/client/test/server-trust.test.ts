import { once } from "node:events";
import { type AddressInfo, connect as connectTcp, createServer as createTcpServer } from "node:net";
import { createServer, type TLSSocket, type TlsOptions } from "node:tls";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import {
  Authority,
  CLIENT_AUTH,
  type Issued,
  pinOf,
  rsaKeys,
  SERVER_AUTH,
  selfSigned,
} from "../../../test/support/authority.ts";
import { NOBODY } from "../../../test/support/free-port.ts";
import { Client, type ClientOptions } from "../src/index.ts";

/** A TLS server that writes down what it decrypts, and never answers. */
class Recorder {
  readonly url: string;
  /** The handshakes that were done, by the server's end of it. */
  readonly secured: TLSSocket[] = [];
  decrypted = "";
  /** Every connection that there was is closed. */
  readonly closed: Promise<unknown>[] = [];

  private constructor(url: string) {
    this.url = url;
  }

  static async start(options: TlsOptions): Promise<Recorder> {
    const server = createServer(options);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const recorder = new Recorder(`wss://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    server.on("connection", (socket) => {
      socket.on("error", () => undefined);
      recorder.closed.push(once(socket, "close"));
    });
    server.on("tlsClientError", () => undefined);
    server.on("secureConnection", (socket) => {
      socket.on("error", () => undefined);
      socket.setEncoding("latin1").on("data", (text: string) => {
        recorder.decrypted += text;
        socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
      });
      recorder.secured.push(socket);
    });
    onTestFinished(() => void server.close());
    return recorder;
  }
}

const TOKEN = "a-token-that-must-not-leave";

/** Why a client of this server does not start. */
async function refusal(
  server: string,
  tls?: ClientOptions["tls"],
  more: Partial<ClientOptions> = {},
): Promise<Error & { code: string }> {
  const client = new Client({
    server,
    token: TOKEN,
    tls,
    retry: { maxAttempts: 1 },
    ...more,
  });
  onTestFinished(() => client.close());
  return await client.start().then(
    () => {
      throw new Error("it started");
    },
    (error: Error & { code: string }) => error,
  );
}

let ca: Authority;
let other: Authority;
let good: Issued;
beforeAll(async () => {
  ca = await Authority.create("good CA");
  other = await Authority.create("other CA");
  good = await ca.issue();
});

interface Row {
  readonly what: string;
  readonly server: () => Promise<TlsOptions>;
  readonly client: () => Promise<ClientOptions["tls"]> | ClientOptions["tls"];
  readonly says: RegExp;
  readonly shows?: "pin";
}

const trustCa = (): ClientOptions["tls"] => ({ ca: ca.pem });

const ROWS: readonly Row[] = [
  {
    what: "E3: self-signed",
    server: () => selfSigned(),
    client: () => undefined,
    says: /self-signed.*--ca.*--pin/,
    shows: "pin",
  },
  {
    what: "E3: self-signed, and a CA is given",
    server: () => selfSigned(),
    client: trustCa,
    says: /self-signed/,
    shows: "pin",
  },
  {
    what: "E5: an unknown CA",
    server: () => other.issue(),
    client: trustCa,
    says: /"other CA", is not known here.*--ca/,
    shows: "pin",
  },
  {
    what: "E5: an unknown CA that sends itself along",
    server: async () => {
      const { cert, key } = await other.issue();
      return { cert: `${cert}\n${other.pem}`, key };
    },
    client: trustCa,
    says: /issued by a CA that is not trusted here/,
    shows: "pin",
  },
  {
    what: "E5: a missing intermediate",
    server: async () => (await ca.intermediate("the missing one")).issue(),
    client: trustCa,
    says: /"the missing one", is not known here\. If that is an intermediate CA, the server does not send/,
  },
  {
    what: "E4: another name",
    server: () => ca.issue({ names: [["dns", "db.example"]] }),
    client: trustCa,
    says: /not for 127\.0\.0\.1 but for DNS:db\.example/,
  },
  {
    what: "E4: a common name is no name",
    server: () => ca.issue({ names: [["dns", "db.example"]], commonName: "127.0.0.1" }),
    client: trustCa,
    says: /not for 127\.0\.0\.1/,
  },
  {
    what: "E4: the right name, and another one is asked for",
    server: () => ca.issue(),
    client: () => ({ ca: ca.pem, serverName: "tunnel.example" }),
    says: /not for tunnel\.example but for DNS:localhost/,
  },
  {
    what: "E5: expired",
    server: () => ca.issue({ fromDay: -10, toDay: -2 }),
    client: trustCa,
    says: /expired on \d{4}-\d\d-\d\dT.*the clock here says/,
  },
  {
    what: "E5, G15: not valid yet",
    server: () => ca.issue({ fromDay: 2, toDay: 10 }),
    client: trustCa,
    says: /not valid before \d{4}-\d\d-\d\dT.*the clock here says \d{4}.*is it right\?/,
  },
  {
    what: "E5: for clients only",
    server: () => ca.issue({ usage: [CLIENT_AUTH] }),
    client: trustCa,
    says: /not one for servers/,
  },
  {
    what: "T15: another key than the pinned one",
    server: () => selfSigned(),
    client: async () => ({ pins: [await pinOf(good)] }),
    says: /not a pinned one.*--pin/,
    shows: "pin",
  },
  {
    what: "T15: of the right CA, and not the pinned key",
    server: () => ca.issue(),
    client: async () => ({ ca: ca.pem, pins: [await pinOf(good)] }),
    says: /not a pinned one/,
    shows: "pin",
  },
  {
    what: "T15: the pinned key, and not the right CA",
    server: async () => good,
    client: async () => ({ ca: other.pem, pins: [await pinOf(good)] }),
    says: /"good CA", is not known here/,
  },
  {
    what: "E5: the pinned key in a certificate that has expired",
    server: async () => await ca.issue({ fromDay: -10, toDay: -2 }),
    client: () => undefined, // set below, by the server's own pin
    says: /expired on/,
  },
];

describe("a server that is not to be trusted gets not one byte", () => {
  test.each(ROWS)("$what", async ({ what, server, client, says, shows }) => {
    const options = await server();
    const pin = await pinOf(options as Issued);
    const recorder = await Recorder.start(options);
    const tls = what.includes("the pinned key in") ? { pins: [pin] } : await client();
    const error = await refusal(recorder.url, tls);
    expect(error.code).toBe("untrusted_server");
    expect(error.message).toMatch(says);
    expect(error.message).not.toContain(TOKEN);
    if (shows === "pin") expect(error.message).toContain(pin);
    await Promise.all(recorder.closed);
    expect(recorder.decrypted).toBe("");
  });

  test("also through a connector", async () => {
    const recorder = await Recorder.start(await selfSigned());
    const { port } = new URL(recorder.url);
    const connector = () => connectTcp(Number(port), "127.0.0.1");
    const error = await refusal("wss://tunnel.example/", { ca: ca.pem }, { connector });
    expect(error.code).toBe("untrusted_server");
    await Promise.all(recorder.closed);
    expect(recorder.decrypted).toBe("");
  });

  test("E5: a weak key", async () => {
    const weak = await ca.issue({ keys: await rsaKeys(1024), usage: [SERVER_AUTH] });
    const recorder = await Recorder.start({ ...weak, ciphers: "DEFAULT@SECLEVEL=0" });
    const error = await refusal(recorder.url, trustCa());
    expect(error.code).toBe("untrusted_server");
    expect(error.message).toMatch(/too weak: rsa of 1024 bits/);
    await Promise.all(recorder.closed);
    expect(recorder.decrypted).toBe("");
  });

  test("and the environment cannot change that", async () => {
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
    onTestFinished(() => void delete process.env.NODE_TLS_REJECT_UNAUTHORIZED);
    const recorder = await Recorder.start(await selfSigned());
    expect((await refusal(recorder.url)).code).toBe("untrusted_server");
    expect(recorder.decrypted).toBe("");
  });
});

describe("a server that is to be trusted gets the request", () => {
  const TRUSTED: readonly [string, () => Promise<[TlsOptions, ClientOptions["tls"]]>][] = [
    ["by its CA", async () => [good, { ca: ca.pem }]],
    ["by one CA of several", async () => [good, { ca: [other.pem, Buffer.from(ca.pem)] }]],
    ["by its CA and its pin", async () => [good, { ca: ca.pem, pins: [await pinOf(good)] }]],
    [
      "by one pin of several, without a CA, whatever its name",
      async () => {
        const own = await selfSigned({ names: [["dns", "elsewhere.example"]] });
        return [own, { pins: [await pinOf(good), await pinOf(own)] }];
      },
    ],
    [
      "by an intermediate that it sends",
      async () => {
        const intermediate = await ca.intermediate();
        const { cert, key } = await intermediate.issue();
        return [{ cert: `${cert}\n${intermediate.pem}`, key }, { ca: ca.pem }];
      },
    ],
    [
      "by the name that it must have",
      async () => [
        await ca.issue({ names: [["dns", "tunnel.example"]] }),
        { ca: ca.pem, serverName: "tunnel.example" },
      ],
    ],
  ];

  test.each(TRUSTED)("%s", async (_how, make) => {
    const [server, tls] = await make();
    const recorder = await Recorder.start(server);
    expect((await refusal(recorder.url, tls)).code).toBe("refused_by_server"); // 403
    expect(recorder.decrypted).toContain(TOKEN);
    const asked = tls?.serverName ?? false;
    expect(recorder.secured[0]?.servername).toBe(asked);
  });
});

describe("TLS that fails says why", () => {
  test("E2: TLS to a plain port", async () => {
    const server = createTcpServer((socket) => {
      socket.on("error", () => undefined).end("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const error = await refusal(`wss://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    expect(error.code).toBe("not_culvert");
    expect(error.message).toContain("speaks no TLS: use ws://");
  });

  test.each(["TLSv1.2", "TLSv1.3"] as const)("E6: a client certificate is demanded, %s", async (version) => {
    const demand = { ...good, requestCert: true, ca: ca.pem, maxVersion: version };
    const recorder = await Recorder.start(demand);
    const error = await refusal(recorder.url, trustCa());
    expect(error.code).toBe("refused_by_server");
    expect(error.message).toMatch(/demands a client certificate.*--cert/);
    expect(recorder.decrypted).toBe("");
  });

  test("E6: the client shows its certificate", async () => {
    const mine = await ca.issue({ commonName: "me", usage: [CLIENT_AUTH] });
    const recorder = await Recorder.start({ ...good, requestCert: true, ca: ca.pem });
    expect((await refusal(recorder.url, { ca: ca.pem, ...mine })).code).toBe("refused_by_server");
    expect(recorder.secured[0]?.getPeerX509Certificate()?.subject).toBe("CN=me");
  });

  test("E6: one of another CA is dropped without a word, and the client says what that may be", async () => {
    const recorder = await Recorder.start({ ...good, requestCert: true, ca: ca.pem });
    const error = await refusal(recorder.url, { ca: ca.pem, ...(await other.issue()) });
    expect(error.code).toBe("attempts_exhausted");
    expect(String((error.cause as Error).message)).toContain("does it accept this client's certificate");
    expect(recorder.decrypted).toBe("");
  });

  test("T15: a server of TLS 1.1 at most", async () => {
    const old = { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" } as const;
    const recorder = await Recorder.start({ ...good, ...old });
    const error = await refusal(recorder.url, trustCa());
    expect(error.code).toBe("not_culvert");
    expect(error.message).toContain("neither TLS 1.2 nor 1.3");
    expect(recorder.decrypted).toBe("");
  });

  test("a server that takes the connection and says nothing is given up, and the connection closed", async () => {
    const closed: Promise<unknown>[] = [];
    const server = createTcpServer((socket) => {
      closed.push(once(socket.resume(), "close"));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const url = `wss://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const error = await refusal(url, trustCa(), { retry: { maxAttempts: 1, connectTimeoutMs: 200 } });
    expect(String((error.cause as Error).message)).toContain("no answer in 200 ms");
    expect(closed).toHaveLength(1);
    await Promise.all(closed);
  });

  test("a connection that is closed in the handshake is one to try again", async () => {
    const server = createTcpServer((socket) => socket.destroy());
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const url = `wss://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    expect((await refusal(url, trustCa())).code).toBe("attempts_exhausted");
    expect((await refusal(`wss://${NOBODY}/`, trustCa())).code).toBe("attempts_exhausted");
  });
});
