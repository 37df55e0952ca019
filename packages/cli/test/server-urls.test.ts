import { describe, expect, it } from "vitest";
import { checkServerUrl, isPlainAndRemote } from "../src/server-urls.ts";
import { sentenceOf } from "./support.ts";

describe("checkServerUrl", () => {
  it.each([
    "ws://host2:9000",
    "wss://host2/tunnel",
    "http://host2",
    "https://host2:8443/a/b?route=blue",
    "WS://HOST2:9000/",
    "ws://[::1]:9000",
    "ws://10.0.0.1",
  ])("takes %s", (text) => {
    expect(checkServerUrl(text)).toBe(text);
  });

  const SCHEME = "must begin with ws://, wss://, http:// or https://, for example ws://host2:9000.";

  it.each([
    ["", "the URL of the server is empty: write one, for example ws://host2:9000."],
    ["host2:9000", "the server URL host2:9000 has no scheme: did you mean ws://host2:9000?"],
    ["host2", "the server URL host2 has no scheme: did you mean ws://host2?"],
    [
      "host2:9000/tunnel",
      "the server URL host2:9000/tunnel has no scheme: did you mean ws://host2:9000/tunnel?",
    ],
    [":9000", `the server URL :9000 ${SCHEME}`],
    ["//host2", `the server URL //host2 ${SCHEME}`],
    ["a b", `the server URL "a b" ${SCHEME}`],
    ["ftp://host2", `the server URL ftp://host2 ${SCHEME}`],
    ["file:///etc/passwd", `the server URL file:///etc/passwd ${SCHEME}`],
    ["ws://", "the server URL ws:// has no host: write one, for example ws://host2:9000."],
    ["ws://:9000", "the server URL ws://:9000 has no host: write one, for example ws://host2:9000."],
    ["ws:///tunnel", "the server URL ws:///tunnel has no host: write one, for example ws://host2:9000."],
    [
      "ws://user:hunter2@host2:9000",
      "the server URL ws://…@host2:9000 must not contain a user name or password: use --token-file.",
    ],
    [
      "ws://user@host2",
      "the server URL ws://…@host2 must not contain a user name or password: use --token-file.",
    ],
    [
      "ws://host2/#part",
      "the server URL ws://host2/ must not have a fragment: leave out # and what follows.",
    ],
    [
      "ws://::1:9000",
      "the server URL ws://::1:9000 has an IPv6 address without brackets: write it as in ws://[::1]:9000.",
    ],
    [
      "ws://host2:65536",
      "the server URL ws://host2:65536 is not valid: write scheme, host and port, for example ws://host2:9000.",
    ],
    [
      "ws://host2:80a",
      "the server URL ws://host2:80a is not valid: write scheme, host and port, for example ws://host2:9000.",
    ],
    [
      "ws://ho st2?key=secret",
      'the server URL "ws://ho st2" is not valid: write scheme, host and port, for example ws://host2:9000.',
    ],
  ])("refuses %j, and repeats no secret", (text, sentence) => {
    expect(sentenceOf(() => checkServerUrl(text))).toBe(sentence);
  });
});

describe("isPlainAndRemote", () => {
  it.each([
    ["ws://host2:9000", true],
    ["http://10.0.0.1", true],
    ["ws://127.0.0.1.example.org", true],
    ["wss://host2", false],
    ["https://host2", false],
    ["ws://localhost:9000", false],
    ["ws://127.0.0.1:9000", false],
    ["http://[::1]:9000", false],
  ])("of %s is %s", (url, expected) => {
    expect(isPlainAndRemote(url)).toBe(expected);
  });
});
