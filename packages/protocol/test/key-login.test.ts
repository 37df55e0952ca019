import { describe, expect, test } from "vitest";
import {
  isStaleChallenge,
  type KeyLogin,
  keyChallengeHeader,
  keyChallengeIn,
  keyLoginHeader,
  keyLoginInput,
  parseKeyLogin,
} from "../src/key-login.ts";

const CHALLENGE = "abcdefghijklmnop_-09";
const LOGIN: KeyLogin = {
  key: `${"A".repeat(43)}=`,
  challenge: CHALLENGE,
  host: "tunnel.example.org:8443",
  signature: `${"B".repeat(86)}==`,
};

test("what is signed, byte for byte", () => {
  const bytes = keyLoginInput({ challenge: CHALLENGE, host: "h:1", path: "/a" });
  expect(new TextDecoder().decode(bytes)).toBe("culvert.v1 key login\nabcdefghijklmnop_-09\nh:1\n/a");
});

describe("the challenge in WWW-Authenticate", () => {
  test("alone, and among others", () => {
    const header = keyChallengeHeader(CHALLENGE);
    expect(header).toBe(`Culvert-Key challenge="${CHALLENGE}"`);
    for (const text of [header, `Bearer realm="culvert", ${header}`, `${header}, Bearer realm="x"`]) {
      expect(keyChallengeIn(text)).toBe(CHALLENGE);
    }
  });

  test("says when an earlier one was at fault", () => {
    const header = keyChallengeHeader(CHALLENGE, true);
    expect(header).toBe(`Culvert-Key challenge="${CHALLENGE}", stale=true`);
    for (const text of [header, `Bearer realm="culvert", ${header}`, `${header}, Bearer realm="x"`]) {
      expect([keyChallengeIn(text), isStaleChallenge(text)]).toEqual([CHALLENGE, true]);
    }
    const others = [
      undefined,
      "",
      "stale=true",
      keyChallengeHeader(CHALLENGE),
      `Digest nonce="a", stale=true`,
    ];
    expect(others.filter(isStaleChallenge)).toEqual([]);
  });

  test.each([
    undefined,
    "",
    'Bearer realm="culvert"',
    'Culvert-Key challenge="short"',
    `Culvert-Key challenge="${"a".repeat(257)}"`,
    'Culvert-Key challenge="SSH-2.0-a text with a meaning"',
    'Culvert-Key challenge="abcdefghijklmnop\nq"',
    `X-Culvert-Key challenge="${CHALLENGE}"`,
  ])("%j has none that may be signed", (header) => {
    expect(keyChallengeIn(header)).toBeUndefined();
  });
});

describe("the login in Authorization", () => {
  test("is read as it was written, in any order and with any case of its scheme", () => {
    expect(parseKeyLogin(keyLoginHeader(LOGIN))).toEqual(LOGIN);
    const { key, challenge, host, signature } = LOGIN;
    const other = `culvert-KEY signature="${signature}" ,host="${host}",  challenge="${challenge}",key="${key}"`;
    expect(parseKeyLogin(other)).toEqual(LOGIN);
  });

  const right = keyLoginHeader(LOGIN);
  test.each([
    ["another scheme", right.replace("Culvert-Key", "Bearer")],
    ["no parts", "Culvert-Key"],
    ["a part less", right.replace(/, host="[^"]*"/, "")],
    ["a part twice", `${right}, host="tunnel.example.org:8443"`],
    ["a part more", `${right}, path="/"`],
    ["a part without quotes", right.replace(/host="([^"]*)"/, "host=$1")],
    ["a key of another length", right.replace('key="A', 'key="')],
    ["a signature of another length", right.replace('signature="B', 'signature="')],
    ["a host in upper case", right.replace("tunnel.", "Tunnel.")],
    ["a host with a line break", right.replace("tunnel.", "tunnel\n.")],
    ["something behind it", `${right} x`],
    ["something like a prototype", right.replace("host=", "__proto__=")],
  ])("%s is not one", (_what, header) => {
    expect(parseKeyLogin(header)).toBeUndefined();
  });
});
