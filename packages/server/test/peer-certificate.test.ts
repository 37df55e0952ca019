import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket, TlsOptions } from "node:tls";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import {
  type AltName,
  Authority,
  CLIENT_AUTH,
  type Issued,
  parsed,
  pinOf,
  SERVER_AUTH,
  selfSigned,
} from "../../../test/support/authority.ts";
import { type PeerCertificate, peerCertificateOf } from "../src/index.ts";
import { readPeerCertificate, subjectAltNames } from "../src/peer-certificate.ts";
import { tlsClient } from "./support/tls-client.ts";

let ca: Authority;
let other: Authority;
let server: Issued;
beforeAll(async () => {
  ca = await Authority.create();
  other = await Authority.create();
  server = await ca.issue();
});

const ALICE: readonly AltName[] = [
  ["dns", "Laptop.Example"],
  ["email", "Alice@Example.Org"],
  ["url", "spiffe://example.org/alice"],
];

/** What an upgrade on somebody's HTTPS server shows of that client; `closed` if it does not come so far. */
async function seen(
  client: Partial<Issued>,
  options: TlsOptions = {},
  headers: readonly string[] = [],
): Promise<PeerCertificate | undefined | "closed"> {
  const https = createServer({ ...server, requestCert: true, ca: ca.pem, ...options });
  https.listen(0, "127.0.0.1");
  await once(https, "listening");
  onTestFinished(() => void https.close());
  const upgrade = new Promise<Duplex>((resolve) =>
    https.on("upgrade", (_request, socket) => resolve(socket)),
  );
  let socket: TLSSocket;
  try {
    socket = await tlsClient((https.address() as AddressInfo).port, client);
  } catch {
    return "closed";
  }
  const closed = new Promise<"closed">((resolve) => socket.once("close", () => resolve("closed")));
  const head = ["GET / HTTP/1.1", "Host: a", "Connection: Upgrade", "Upgrade: websocket", ...headers];
  socket.resume().write(`${head.join("\r\n")}\r\n\r\n`);
  const arrived = await Promise.race([upgrade, closed]);
  const facts = arrived === "closed" ? arrived : peerCertificateOf(arrived);
  socket.destroy();
  return facts;
}

describe("T12: of a client's certificate", () => {
  test("that holds, everything is told exactly", async () => {
    const alice = await ca.issue({ names: ALICE, usage: [CLIENT_AUTH] });
    expect(await seen(alice)).toEqual({
      spkiSha256: (await pinOf(alice)).slice("sha256/".length),
      dns: ["laptop.example"],
      email: ["Alice@example.org"],
      uri: ["spiffe://example.org/alice"],
      validFrom: expect.any(Date),
      validTo: expect.any(Date),
    });
  });

  test("without an extended key usage, everything as well", async () => {
    expect(await seen(await ca.issue({ usage: [] }))).toMatchObject({ dns: ["localhost"] });
  });

  test("with an intermediate that it sends, everything as well", async () => {
    const intermediate = await ca.intermediate();
    const { cert, key } = await intermediate.issue({ names: ALICE });
    expect(await seen({ cert: `${cert}\n${intermediate.pem}`, key })).toMatchObject({
      dns: ["laptop.example"],
    });
  });

  type Row = readonly [what: string, make: () => Promise<Partial<Issued>>];
  const REFUSED: readonly Row[] = [
    ["no certificate", async () => ({})],
    ["another CA, the same names", () => other.issue({ names: ALICE })],
    ["self-signed, the same names", () => selfSigned({ names: ALICE })],
    ["expired", () => ca.issue({ names: ALICE, fromDay: -3, toDay: -2 })],
    ["not yet valid", () => ca.issue({ names: ALICE, fromDay: 2, toDay: 3 })],
    ["for servers only", () => ca.issue({ names: ALICE, usage: [SERVER_AUTH] })],
    ["a missing intermediate", async () => (await ca.intermediate()).issue({ names: ALICE })],
  ];

  test.each(REFUSED)("%s: nothing, where TLS refuses and where it does not", async (_what, make) => {
    const client = await make();
    expect(await seen(client)).toBe("closed");
    expect(await seen(client, { rejectUnauthorized: false })).toBeUndefined();
  });

  test("a server that does not ask: nothing", async () => {
    expect(await seen(await ca.issue(), { requestCert: false })).toBeUndefined();
  });

  test("T13: what headers say of a certificate: nothing", async () => {
    const { cert } = await ca.issue({ names: ALICE });
    const names = ["X-Client-Cert", "X-SSL-Client-Cert", "X-Forwarded-Client-Cert", "Client-Cert"];
    const headers = [
      ...names.map((name) => `${name}: ${encodeURIComponent(cert)}`),
      "X-SSL-Client-Verify: SUCCESS",
      "X-SSL-Client-S-DN: CN=alice",
    ];
    expect(await seen({}, { rejectUnauthorized: false }, headers)).toBeUndefined();
    expect(await seen(await ca.issue({ names: [["dns", "b.example"]] }), {}, headers)).toMatchObject({
      dns: ["b.example"],
      email: [],
    });
  });

  test("no TLS: nothing", async () => {
    const { Duplex } = await import("node:stream");
    expect(peerCertificateOf(new Duplex())).toBeUndefined();
  });

  test("that TLS verified earlier, in a session that was resumed: nothing outside its dates or its use", async () => {
    const good = parsed(await ca.issue());
    const now = Date.now();
    const day = 86_400_000;
    expect(readPeerCertificate(good, now)).toBeDefined();
    expect(readPeerCertificate(good, now + 2 * day)).toBeUndefined();
    expect(readPeerCertificate(good, now - 2 * day)).toBeUndefined();
    expect(readPeerCertificate(good, Number.NaN)).toBeUndefined();
    expect(readPeerCertificate(parsed(await ca.issue({ usage: [SERVER_AUTH] })), now)).toBeUndefined();
  });
});

describe("T12: names", () => {
  const namesOf = async (names: readonly AltName[]): Promise<PeerCertificate | undefined> =>
    readPeerCertificate(parsed(await ca.issue({ names })), Date.now());

  test("are never taken from the common name", async () => {
    const facts = readPeerCertificate(
      parsed(await ca.issue({ commonName: "laptop.example", names: [] })),
      Date.now(),
    );
    expect(facts).toMatchObject({ dns: [], email: [], uri: [] });
  });

  test("with commas, quotes and NUL do not become others", async () => {
    const facts = await namesOf([
      ["dns", "evil.example, DNS:laptop.example"],
      ["dns", 'evil.example", DNS:"laptop.example'],
      ["dns", "laptop.example\0.evil.example"],
      ["url", "http://evil.example/, URI:spiffe://example.org/alice"],
      ["url", "http://a.example/?x=1,2"],
      ["email", "alice@example.org\n"],
      ["dns", "laptöp.example"],
      ["dns", ""],
      ["dns", "ok.example"],
    ]);
    expect(facts).toMatchObject({
      dns: ["ok.example"],
      email: [],
      uri: ["http://a.example/?x=1,2"],
    });
  });

  test("with a quote and no space are what they are, and nothing else", async () => {
    expect(await namesOf([["dns", 'a",DNS:b']])).toMatchObject({ dns: ['a",dns:b'] });
  });

  test.each([
    "DNS:a, , DNS:b",
    'DNS:"a',
    'DNS:a"b"',
    "DNS",
    ":a",
    'DNS:"a"b, DNS:c',
    'DNS:"\\q"',
    "DNS:a,DNS:b",
  ])("in a text that is not as it must be, none is believed: %s", (text) =>
    expect(subjectAltNames(text)).toBeUndefined(),
  );

  test("of other kinds are none of ours", () => {
    expect(subjectAltNames("IP Address:10.0.0.1, othername:<unsupported>, DirName:CN = a, DNS:b")).toEqual([
      { kind: "IP Address", value: "10.0.0.1" },
      { kind: "othername", value: "<unsupported>" },
      { kind: "DNS", value: "b" },
    ]);
  });
});
