import { describe, expect, it } from "vitest";
import { ServerChooser } from "../src/server-chooser.ts";

const a = new URL("ws://a/");
const b = new URL("ws://b/");
const c = new URL("ws://c/");
const NOWHERE = { now: 0, home: undefined };

describe("a list of servers", () => {
  it("is gone through in order and round again, and stays with the one that works", () => {
    const chooser = new ServerChooser([a, b], 10_000);
    expect(chooser.choose(NOWHERE)).toEqual({ url: a, waitMs: 0 });
    chooser.failed(a, 0, undefined);
    expect(chooser.choose(NOWHERE).url).toBe(b);
    chooser.failed(b, 0, undefined);
    expect(chooser.choose(NOWHERE).url).toBe(a);
    chooser.failed(a, 0, undefined);
    chooser.succeeded(b);
    expect(chooser.choose(NOWHERE).url).toBe(b);
  });

  it("keeps to the server that has the session, for a while", () => {
    const chooser = new ServerChooser([a, b], 10_000);
    chooser.failed(a, 0, undefined);
    expect(chooser.choose({ now: 0, home: { url: a, detachedMs: 9_999 } }).url).toBe(a);
    expect(chooser.choose({ now: 0, home: { url: a, detachedMs: 10_000 } }).url).toBe(b);
  });

  it("passes over one that wants to be left alone, as long as there is another", () => {
    const chooser = new ServerChooser([a, b], 0);
    chooser.failed(b, 0, 5000);
    expect(chooser.choose({ now: 1000, home: undefined })).toEqual({ url: a, waitMs: 0 });
    chooser.failed(a, 1000, 60_000);
    expect(chooser.choose({ now: 1000, home: undefined })).toEqual({ url: b, waitMs: 4000 });
    expect(chooser.choose({ now: 5000, home: undefined })).toEqual({ url: b, waitMs: 0 });
  });
});

describe("a function", () => {
  it("is left to be asked, after the wait that the last server wished", () => {
    const chooser = new ServerChooser(() => "ws://x", 0);
    chooser.failed(a, 0, 700);
    expect(chooser.count).toBe(1);
    expect(chooser.choose({ now: 200, home: undefined })).toEqual({ url: undefined, waitMs: 500 });
  });

  it("may be async, and must name a server", async () => {
    const info = {
      attempt: 1,
      resuming: undefined,
      lastError: undefined,
      signal: new AbortController().signal,
    };
    expect((await ServerChooser.ask(async () => "http://x:1", info)).href).toBe("ws://x:1/");
    await expect(ServerChooser.ask(() => "nonsense", info)).rejects.toThrow(
      /what the server function returned/,
    );
  });
});

describe("a redirect", () => {
  it("is followed once, then the list counts again", () => {
    const chooser = new ServerChooser([a], 0);
    expect(chooser.redirect("ws://c", a)).toBe(true);
    expect(chooser.choose(NOWHERE).url?.href).toBe(c.href);
    expect(chooser.choose(NOWHERE).url).toBe(a);
  });

  it("is followed three times in a row", () => {
    const chooser = new ServerChooser([a], 0);
    const follow = (): boolean => chooser.redirect("ws://c", a);
    expect([follow(), follow(), follow(), follow()]).toEqual([true, true, true, false]);
    chooser.succeeded(a);
    expect(follow()).toBe(true);
  });

  it("never leads from an encrypted connection to a plain one, nor to what is no server", () => {
    const chooser = new ServerChooser([a], 0);
    expect(chooser.redirect("ws://c", new URL("wss://a"))).toBe(false);
    expect(chooser.redirect("file:///etc/passwd", a)).toBe(false);
    expect(chooser.redirect("wss://c", new URL("wss://a"))).toBe(true);
  });
});
