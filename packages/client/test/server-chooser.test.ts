import { describe, expect, it } from "vitest";
import { type ChooserOptions, ServerChooser } from "../src/server-chooser.ts";

const a = new URL("ws://a/");
const b = new URL("ws://b/");
const c = new URL("ws://c/");
const NOWHERE = { now: 0, home: undefined };

function makeChooser(
  server: readonly URL[] | (() => string),
  options: Partial<ChooserOptions> = {},
): ServerChooser {
  return new ServerChooser(server, {
    stickyMs: 0,
    retryAfterCapMs: 300_000,
    redirects: "same-host",
    ...options,
  });
}

describe("a list of servers", () => {
  it("is gone through in order and round again, and stays with the one that works", () => {
    const chooser = makeChooser([a, b], { stickyMs: 10_000 });
    expect(chooser.choose(NOWHERE)).toEqual({ url: a, isOwn: true, waitMs: 0 });
    chooser.failed(a, 0, undefined);
    expect(chooser.choose(NOWHERE).url).toBe(b);
    chooser.failed(b, 0, undefined);
    expect(chooser.choose(NOWHERE).url).toBe(a);
    chooser.failed(a, 0, undefined);
    chooser.succeeded(b);
    expect(chooser.choose(NOWHERE).url).toBe(b);
  });

  it("keeps to the server that has the session, for a while", () => {
    const chooser = makeChooser([a, b], { stickyMs: 10_000 });
    chooser.failed(a, 0, undefined);
    expect(chooser.choose({ now: 0, home: { url: a, detachedMs: 9_999 } }).url).toBe(a);
    expect(chooser.choose({ now: 0, home: { url: a, detachedMs: 10_000 } }).url).toBe(b);
  });

  it("passes over one that wants to be left alone, as long as there is another", () => {
    const chooser = makeChooser([a, b]);
    chooser.failed(b, 0, 5000);
    expect(chooser.choose({ now: 1000, home: undefined })).toEqual({ url: a, isOwn: true, waitMs: 0 });
    chooser.failed(a, 1000, 60_000);
    expect(chooser.choose({ now: 1000, home: undefined })).toEqual({ url: b, isOwn: true, waitMs: 4000 });
    expect(chooser.choose({ now: 5000, home: undefined })).toEqual({ url: b, isOwn: true, waitMs: 0 });
  });

  it("is left alone no longer than the cap, and not when it no longer wishes so", () => {
    for (const server of [[a], () => "ws://x"] as const) {
      const chooser = makeChooser(server, { retryAfterCapMs: 1500 });
      chooser.failed(a, 0, 31_536_000_000);
      expect(chooser.choose(NOWHERE).waitMs).toBe(1500);
      expect(chooser.choose({ now: 1500, home: undefined }).waitMs).toBe(0);
      chooser.failed(a, 1500, 31_536_000_000);
      chooser.failed(a, 1600, undefined);
      expect(chooser.choose({ now: 1600, home: undefined }).waitMs).toBe(0);
    }
  });
});

describe("a function", () => {
  it("is left to be asked, after the wait that the last server wished", () => {
    const chooser = makeChooser(() => "ws://x");
    chooser.failed(a, 0, 700);
    expect(chooser.count).toBe(1);
    expect(chooser.choose({ now: 200, home: undefined })).toEqual({
      url: undefined,
      isOwn: true,
      waitMs: 500,
    });
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
    const chooser = makeChooser([a], { redirects: "any" });
    expect(chooser.redirect("ws://c", a)).toBe(true);
    expect(chooser.choose(NOWHERE).url?.href).toBe(c.href);
    expect(chooser.choose(NOWHERE).url).toBe(a);
  });

  it("is followed three times in a row", () => {
    const chooser = makeChooser([a], { redirects: "any" });
    const follow = (): boolean => chooser.redirect("ws://c", a);
    expect([follow(), follow(), follow(), follow()]).toEqual([true, true, true, false]);
    chooser.succeeded(a);
    expect(follow()).toBe(true);
  });

  it("never leads from an encrypted connection to a plain one, nor to what is no server", () => {
    const chooser = makeChooser([a], { redirects: "any" });
    expect(chooser.redirect("ws://c", new URL("wss://a"))).toBe(false);
    expect(chooser.redirect("file:///etc/passwd", a)).toBe(false);
    expect(chooser.redirect("wss://c", new URL("wss://a"))).toBe(true);
  });

  it.each([
    ["ws://a/", true],
    ["ws://a:81/other?x=1", true],
    ["wss://A/", true],
    ["ws://b:9000/x", true],
    ["ws://c/", false],
    ["ws://127.0.0.1/", false],
    ["ws://a.evil.example/", false],
    ["ws://a@c/", false],
  ])("to %s from a list of a and b: %j, unless any is allowed", (to, isFollowed) => {
    const list = [a, new URL("ws://b:9000/")];
    expect(makeChooser(list).redirect(to, a)).toBe(isFollowed);
    const isServer = !to.includes("@");
    expect(makeChooser(list, { redirects: "any" }).redirect(to, a)).toBe(isServer);
  });

  it("of a server that a function named leads to the same host, or nowhere", () => {
    const chooser = makeChooser(() => "ws://x");
    expect(chooser.redirect("ws://a", a)).toBe(false);
    chooser.named(a);
    expect(chooser.redirect("ws://a:81", a)).toBe(true);
    expect(chooser.redirect("ws://c", new URL("ws://c"))).toBe(false);
    chooser.named(c);
    expect(chooser.redirect("ws://a", c)).toBe(false);
  });

  it("leads to a server of the caller's own only when its origin is the same", () => {
    const chooser = makeChooser([a, new URL("ws://b:9000/x")], { redirects: "any" });
    const isOwn = (to: string): boolean => {
      chooser.redirect(to, a);
      const choice = chooser.choose(NOWHERE);
      expect(choice.url?.href).toBe(new URL(to).href);
      chooser.succeeded(a);
      return choice.isOwn;
    };
    expect(isOwn("ws://a/other")).toBe(true);
    expect(isOwn("ws://b:9000/")).toBe(true);
    expect(isOwn("ws://b/")).toBe(false);
    expect(isOwn("wss://a/")).toBe(false);
    expect(isOwn("ws://c/")).toBe(false);
    // Also when it is dialed again, because it has the session now.
    const sticky = makeChooser([a], { stickyMs: 1000, redirects: "any" });
    expect(sticky.choose({ now: 0, home: { url: c, detachedMs: 0 } })).toMatchObject({
      url: c,
      isOwn: false,
    });

    const asked = makeChooser(() => "ws://x", { redirects: "any" });
    asked.named(a);
    asked.redirect("ws://a/other", a);
    expect(asked.choose(NOWHERE).isOwn).toBe(true);
    asked.redirect("ws://a:81", a);
    expect(asked.choose(NOWHERE).isOwn).toBe(false);
    expect(asked.choose(NOWHERE)).toMatchObject({ url: undefined, isOwn: true });
  });
});
