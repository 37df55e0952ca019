import { createPrivateKey } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { Authority, type Issued, pinOf, rsaKeys, selfSigned } from "../../../test/support/authority.ts";
import { resolveClientOptions } from "../src/index.ts";

let ca: Authority;
let own: Issued;
let encrypted: string;
let pin: string;
beforeAll(async () => {
  ca = await Authority.create();
  own = await ca.issue();
  pin = await pinOf(own);
  encrypted = createPrivateKey(own.key)
    .export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "open sesame" })
    .toString();
});

function resolve(tls: unknown, server: string | string[] = "wss://a.example"): unknown {
  return resolveClientOptions({ server, tls: tls as Record<string, never> }).tls;
}

type Row = readonly [what: string, tls: () => unknown, says: RegExp];

const FAULTS: readonly Row[] = [
  ["no object", () => "ca.pem", /tls must be an object/],
  ["an unknown option", () => ({ pin }), /no option tls\.pin; there are: ca, pins/],
  ["the name of a file", () => ({ ca: "/etc/ca.pem" }), /tls\.ca holds no certificate: it must be PEM/],
  ["an empty CA", () => ({ ca: "" }), /tls\.ca is empty/],
  ["no CA at all", () => ({ ca: [] }), /tls\.ca must have at least one certificate/],
  ["a key for a CA", () => ({ ca: [ca.pem, own.key] }), /tls\.ca\[1\] holds a private key/],
  ["no pins", () => ({ pins: [] }), /tls\.pins must have at least one pin/],
  ["a pin that is no list", () => ({ pins: pin }), /tls\.pins must be an array/],
  ["a pin of another hash", () => ({ pins: [pin, "sha1/AAAA"] }), /tls\.pins\[1\] must be sha256\//],
  ["a pin that is too short", () => ({ pins: [pin.slice(0, -2)] }), /tls\.pins\[0\] must be sha256\//],
  // Its last character has bits that no 32 bytes give: it would never match.
  [
    "a pin that no key has",
    () => ({ pins: [`sha256/${"A".repeat(42)}B=`] }),
    /tls\.pins\[0\] must be sha256\//,
  ],
  ["a pin that is no text", () => ({ pins: [1] }), /tls\.pins\[0\] must be sha256\//],
  ["a certificate without its key", () => ({ cert: own.cert }), /tls\.key is missing/],
  ["a key without its certificate", () => ({ key: own.key }), /tls\.cert is missing/],
  ["a passphrase alone", () => ({ passphrase: "x" }), /tls\.cert is missing/],
  ["an encrypted key", () => ({ ...own, key: encrypted }), /tls\.key is encrypted: give tls\.passphrase/],
  ["the wrong passphrase", () => ({ ...own, key: encrypted, passphrase: "x" }), /does not open tls\.key/],
  ["a URL for a name", () => ({ serverName: "https://a" }), /tls\.serverName must be a host name/],
  ["an empty name", () => ({ serverName: "" }), /tls\.serverName must have 1 to 253 characters/],
];

describe("tls of a client", () => {
  test.each(FAULTS)("%s is invalid", (_what, tls, says) => {
    expect(() => resolve(tls())).toThrow(expect.objectContaining({ code: "invalid_option" }));
    expect(() => resolve(tls())).toThrow(says);
  });

  test("a key that is too short is invalid", async () => {
    const weak = await selfSigned({ keys: await rsaKeys(1024) });
    expect(() => resolve(weak)).toThrow(/too weak/);
  });

  test("never shows a key", () => {
    for (const tls of [
      { ca: own.key },
      { cert: own.key, key: own.key },
      { ...own, key: own.key.slice(0, 80) },
    ]) {
      const secret = own.key.split("\n")[1] ?? "";
      expect(() => resolve(tls)).toThrow(expect.not.stringContaining(secret.slice(0, 20)));
    }
  });

  test("where nothing is encrypted is a mistake", () => {
    expect(() => resolve({ pins: [pin] }, "ws://a.example")).toThrow(/begin its URL with wss:/);
    expect(() => resolve({ pins: [pin] }, ["ws://a.example", "http://b"])).toThrow(/wss:/);
    expect(resolve({ pins: [pin] }, ["ws://localhost", "https://b"])).toBeDefined();
  });

  test("is taken as it is meant", () => {
    const parts = { trustsPinsOnly: false, hasCertificate: false, serverName: undefined };
    expect(resolve(undefined)).toBeUndefined();
    expect(resolve({})).toMatchObject(parts);
    expect(resolve({ ca: [ca.pem, Buffer.from(`${ca.pem}\n${ca.pem}`)] })).toMatchObject(parts);
    expect(resolve({ pins: [pin] })).toMatchObject({ ...parts, trustsPinsOnly: true });
    expect(resolve({ pins: [pin], ca: ca.pem })).toMatchObject(parts);
    const key = { cert: own.cert, key: encrypted, passphrase: "open sesame" };
    expect(resolve({ ...key, serverName: "::1" })).toMatchObject({ hasCertificate: true, serverName: "::1" });
  });
});
