import { createPrivateKey } from "node:crypto";
import type { CulvertError } from "@culvert/protocol";
import { beforeAll, describe, expect, test } from "vitest";
import { Authority, type Issued, rsaKeys, selfSigned } from "../../../test/support/authority.ts";
import { LogRecorder } from "../../../test/support/log-recorder.ts";
import { Server, type ServerTlsOptions } from "../src/index.ts";

let ca: Authority;
let one: Issued;
let another: Issued;
let encrypted: string;
beforeAll(async () => {
  ca = await Authority.create();
  one = await ca.issue({ commonName: "one" });
  another = await ca.issue();
  encrypted = createPrivateKey(one.key)
    .export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "open sesame" })
    .toString();
});

function faultOf(tls: unknown): string {
  try {
    new Server({ port: 0, tls: tls as ServerTlsOptions });
  } catch (error) {
    expect((error as CulvertError).code).toBe("invalid_option");
    // Nothing of a key, wherever it stands; not in the cause either.
    const said = `${(error as Error).message} ${String((error as Error).cause)}`;
    for (const { key } of [one, another]) {
      for (const line of key.split("\n").slice(1, -2)) expect(said).not.toContain(line);
    }
    expect(said).not.toContain("sesame");
    return (error as Error).message;
  }
  throw new Error("it was taken");
}

type Row = readonly [what: string, tls: () => unknown, says: RegExp];

const FAULTS: readonly Row[] = [
  ["no object", () => "cert.pem", /tls must be an object/],
  [
    "an unknown option",
    () => ({ ...one, certificate: "" }),
    /no option tls\.certificate; there are: cert, key/,
  ],
  ["a certificate without a key", () => ({ cert: one.cert }), /tls\.key is missing/],
  ["a key without a certificate", () => ({ key: one.key }), /tls\.cert is missing/],
  [
    "the key of another",
    () => ({ cert: one.cert, key: another.key }),
    /tls\.key is not the key of.*"CN=one"/,
  ],
  ["both mixed up", () => ({ cert: one.key, key: one.cert }), /tls\.cert holds a private key.*mixed up\?/],
  ["a certificate for a key", () => ({ cert: one.cert, key: one.cert }), /tls\.key holds a certificate/],
  ["an empty certificate", () => ({ ...one, cert: "" }), /tls\.cert is empty/],
  ["an empty key", () => ({ ...one, key: Buffer.alloc(0) }), /tls\.key is empty/],
  ["a number", () => ({ ...one, cert: 5 }), /tls\.cert must be PEM/],
  [
    "the name of a file",
    () => ({ ...one, cert: "/etc/cert.pem" }),
    /tls\.cert holds no certificate: it must be PEM/,
  ],
  ["DER", () => ({ ...one, cert: Buffer.from(one.cert.split("\n")[1]!, "base64") }), /it must be PEM/],
  [
    "a damaged certificate",
    () => ({ ...one, cert: one.cert.replace(/\n.{20}/, "\nAAAAAAAAAAAAAAAAAAAA") }),
    /certificate 1 of tls\.cert cannot be read/,
  ],
  [
    "a damaged key",
    () => ({ ...one, key: one.key.replace(/\n.{20}/, "\nAAAAAAAAAAAAAAAAAAAA") }),
    /not a private key/,
  ],
  ["an encrypted key", () => ({ ...one, key: encrypted }), /tls\.key is encrypted: give tls\.passphrase/],
  [
    "the wrong passphrase",
    () => ({ ...one, key: encrypted, passphrase: "open barley" }),
    /tls\.passphrase does not open tls\.key/,
  ],
  ["a passphrase that is none", () => ({ ...one, passphrase: 1 }), /tls\.passphrase must be a string/],
  [
    "the CA before the certificate",
    () => ({ cert: `${ca.pem}\n${one.cert}`, key: one.key }),
    /must begin with the certificate of tls\.key/,
  ],
  ["a CA that is none", () => ({ ...one, clientCa: "nobody" }), /tls\.clientCa holds no certificate/],
  [
    "an SNI callback that is none",
    () => ({ ...one, sniCallback: {} }),
    /tls\.sniCallback must be a function/,
  ],
  [
    "a CA for clients and an SNI callback",
    () => ({ ...one, clientCa: ca.pem, sniCallback: () => undefined }),
    /cannot be used together/,
  ],
];

describe("G5: what cannot work is refused before anything starts", () => {
  test.each(FAULTS)("%s", (_what, tls, says) => expect(faultOf(tls())).toMatch(says));

  test("a key that is too short", async () => {
    expect(faultOf(await selfSigned({ keys: await rsaKeys(1024) }))).toMatch(
      /too weak: make one with RSA of 2048/,
    );
  });

  test.each([0, 1.5, "10"])("a handshake time of %s", (tlsHandshakeTimeoutMs) => {
    expect(() => new Server({ tlsHandshakeTimeoutMs: tlsHandshakeTimeoutMs as number })).toThrow(
      /tlsHandshakeTimeoutMs must be an integer/,
    );
  });
});

describe("what can work is taken", () => {
  test("an encrypted key with its passphrase, a chain, bytes", () => {
    new Server({ tls: { ...one, key: Buffer.from(encrypted), passphrase: "open sesame" } });
    new Server({ tls: { cert: Buffer.from(`${one.cert}\n${ca.pem}`), key: one.key, clientCa: ca.pem } });
  });

  test("a certificate outside its dates, with a warning that has them", async () => {
    for (const [days, fault] of [
      [{ fromDay: -3, toDay: -2 }, "expired"],
      [{ fromDay: 2, toDay: 3 }, "not_yet_valid"],
    ] as const) {
      const log = new LogRecorder();
      new Server({ tls: await ca.issue(days), logger: log.logger });
      expect(log.lines).toEqual([
        {
          level: "warn",
          message: "clients will refuse this certificate",
          fault,
          validFrom: expect.stringMatching(/GMT$/),
          validTo: expect.stringMatching(/GMT$/),
        },
      ]);
    }
  });
});
