import { describe, expect, it } from "vitest";
import { parseServerUrl, shownUrl } from "../src/server-url.ts";

describe("parseServerUrl", () => {
  it.each([
    ["ws://host2:9000", "ws://host2:9000/"],
    ["wss://host2", "wss://host2/"],
    ["http://host2:9000/tunnel", "ws://host2:9000/tunnel"],
    ["https://host2/t?route=a", "wss://host2/t?route=a"],
    ["HTTP://Host2:80", "ws://host2/"],
    ["https://host2:443", "wss://host2/"],
    ["http://host2:443", "ws://host2:443/"],
    ["ws://[::1]:9000", "ws://[::1]:9000/"],
  ])("reads %s as %s", (text, href) => {
    expect(parseServerUrl(text).href).toBe(href);
  });

  it.each([
    ["host2:9000", /server must be a URL that begins with ws:\/\//],
    ["", /server must be a URL/],
    ["ftp://host2", /begins with ws/],
    ["ws://", /begins with ws/],
    ["ws://user:secret@host2", /use the option token/],
    ["ws://user@host2", /use the option token/],
    ["ws://host2#part", /fragment/],
    ["ws://host2#", /fragment/],
    [`ws://host2/${"a".repeat(2048)}`, /2048/],
    [9000, /not number/],
    [undefined, /not undefined/],
  ])("refuses %s", (text, message) => {
    expect(() => parseServerUrl(text)).toThrow(expect.objectContaining({ code: "invalid_option" }));
    expect(() => parseServerUrl(text)).toThrow(message);
  });

  it("repeats no secret", () => {
    expect(() => parseServerUrl("ws://user:hunter2@host2")).toThrow(expect.not.stringContaining("hunter2"));
  });
});

describe("shownUrl", () => {
  it("leaves the query out", () => {
    expect(shownUrl(new URL("wss://host2:1/t?token=hunter2"))).toBe("wss://host2:1/t");
  });
});
