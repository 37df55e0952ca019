import { generateKeyPairSync } from "node:crypto";
import { CulvertError } from "@culvert/protocol";
import { describe, expect, test } from "vitest";
import { newLoginKey, readLoginKey, verifyLogin } from "../src/login-key.ts";

const bytes = Buffer.from("culvert.v1 key login\n…");

describe("a key that was drawn", () => {
  test("signs what its public half verifies, and nothing else does", () => {
    const { pem, publicText } = newLoginKey();
    expect(pem).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
    expect(publicText).toMatch(/^ed25519:[A-Za-z0-9+/]{43}=$/);
    const key = readLoginKey(Buffer.from(pem));
    expect(key.publicText).toBe(publicText);
    const signature = key.sign(bytes);
    expect(signature).toHaveLength(64);
    expect(verifyLogin(publicText, bytes, signature)).toBe(true);
    expect(verifyLogin(publicText, Buffer.from("other"), signature)).toBe(false);
    expect(verifyLogin(newLoginKey().publicText, bytes, signature)).toBe(false);
    for (const wrong of [signature.subarray(1), Buffer.alloc(0), Buffer.alloc(64), Buffer.alloc(65)]) {
      expect(verifyLogin(publicText, bytes, wrong)).toBe(false);
    }
  });

  test("is another one each time", () => {
    expect(newLoginKey().publicText).not.toBe(newLoginKey().publicText);
  });

  test("T5: does not show itself where objects are printed", () => {
    const { pem } = newLoginKey();
    const key = readLoginKey(pem);
    const secret = pem.split("\n")[1] ?? "";
    expect(JSON.stringify(key) + String(key)).not.toContain(secret);
    expect(Object.values(key).filter((value) => typeof value === "string")).toEqual([key.publicText]);
  });
});

test("RFC 8032 section 7.1, test 2", () => {
  const seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
  const pkcs8 = Buffer.from(`302e020100300506032b657004220420${seed}`, "hex").toString("base64");
  const key = readLoginKey(`-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`);
  const expected = Buffer.from("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "hex");
  expect(key.publicText).toBe(`ed25519:${expected.toString("base64")}`);
  expect(key.sign(Buffer.from("72", "hex")).toString("hex")).toMatch(/^92a009a9f0d4cab8720e820b5f642540/);
});

describe("what is not a key", () => {
  const pkcs8 = { type: "pkcs8", format: "pem" } as const;
  const good = newLoginKey().pem;
  const middle = good.split("\n")[1] ?? "";
  test.each([
    ["nothing", "", /no line/],
    ["a public text", newLoginKey().publicText, /no line/],
    ["a public key", "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----", /no line/],
    ["another kind", ec(), /type ec, not Ed25519/],
    ["an encrypted one", encrypted(), /encrypted/],
    ["one of OpenSSH", `-----BEGIN OPENSSH PRIVATE KEY-----\n${middle}\n`, /OpenSSH/],
    ["a damaged one", good.replace(middle, middle.slice(8)), /damaged/],
  ])("%s: a sentence that tells what it is, without a part of it", (_what, pem, sentence) => {
    let fault: unknown;
    try {
      readLoginKey(pem);
    } catch (error) {
      fault = error;
    }
    expect(fault).toBeInstanceOf(CulvertError);
    expect(fault).toMatchObject({ code: "invalid_option", message: expect.stringMatching(sentence) });
    expect((fault as Error).message).not.toContain(middle.slice(8, 24));
    expect((fault as Error).cause).toBeUndefined();
  });

  test.each([
    "",
    "ed25519:",
    "ed25519:AAAA",
    newLoginKey().publicText.slice(8),
    newLoginKey().publicText.replace("ed25519", "ed448"),
    `${newLoginKey().publicText}A`,
    newLoginKey().publicText.replace(/=$/, ""),
  ])("%j verifies nothing, and does not throw", (publicText) => {
    expect(verifyLogin(publicText, bytes, Buffer.alloc(64))).toBe(false);
  });

  function ec(): string {
    return generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export(pkcs8).toString();
  }

  function encrypted(): string {
    const { privateKey } = generateKeyPairSync("ed25519");
    return privateKey.export({ ...pkcs8, cipher: "aes-256-cbc", passphrase: "p" }).toString();
  }
});
