import { expect, test } from "vitest";
import { Authority, parsed, rsaKeys } from "../../../test/support/authority.ts";

test("support", async () => {
  const ca = await Authority.create();
  const mid = await ca.intermediate();
  const one = await mid.issue({
    names: [
      ["dns", "a.example"],
      ["email", "x@y"],
      ["url", "spiffe://a/b,c"],
      ["ip", "::1"],
    ],
  });
  console.log(
    parsed(one).subjectAltName,
    parsed(one).keyUsage,
    (await ca.issue({ keys: await rsaKeys(1024) })).cert,
  );
  console.log(
    await ca
      .issue({
        names: [
          ["dns", "a.example\0.evil"],
          ["dns", 'a, DNS:b"'],
          ["dns", "ok"],
        ],
      })
      .then((c) => parsed(c).subjectAltName),
  );
  expect(parsed(one).verify(parsed({ cert: mid.pem }).publicKey)).toBe(true);
});
