import { hostname } from "node:os";
import { describe, expect, it } from "vitest";
import { currentUser, defaultName } from "../src/default-name.ts";

const web = { mode: "listen", listen: "tcp://0.0.0.0:80", connect: "tcp://127.0.0.1:8080" };
const ssh = { mode: "connect", listen: "tcp://127.0.0.1:2222", connect: "tcp://srv:22" };
const alice = { user: "alice", host: "one" };

describe("defaultName", () => {
  it("is the same at every start, whatever the order of the tunnels", () => {
    const name = defaultName([web, ssh], alice);
    expect(name).toMatch(/^auto-[0-9a-f]{16}$/);
    expect(defaultName([ssh, web], alice)).toBe(name);
  });

  it("differs by user, host and tunnel", () => {
    const names = [
      defaultName([web], alice),
      defaultName([ssh], alice),
      defaultName([web, ssh], alice),
      defaultName([web], { user: "bob", host: "one" }),
      defaultName([web], { user: "alice", host: "two" }),
      defaultName([{ ...web, mode: "connect" }], alice),
    ];
    expect(new Set(names).size).toBe(names.length);
  });

  it("does not tell who or where", () => {
    expect(defaultName([web], alice)).not.toMatch(/alice|one/);
  });

  it("is random without tunnels: nothing is to be found again, and nobody to be displaced", () => {
    expect(defaultName([], alice)).not.toBe(defaultName([], alice));
  });

  it("does without a user where the user id has no entry", () => {
    const who = currentUser(() => {
      throw new Error("ENOENT: no such file or directory, uv_os_get_passwd");
    });
    expect(who).toEqual({ user: "", host: hostname() });
    expect(defaultName([web], who)).toMatch(/^auto-/);
  });
});
