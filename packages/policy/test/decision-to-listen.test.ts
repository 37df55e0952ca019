import { describe, expect, test } from "vitest";
import { NOTHING } from "../src/index.ts";
import { ask, listening } from "./support/asking.ts";

describe("to listen", () => {
  test("nothing is allowed that no rule allows, and ports alone are those of loopback (T22)", () => {
    const grants = listening(["8000-8999"]);
    expect(ask(NOTHING, "listen", "127.0.0.1:8080").reason).toBe(
      "denied: no rule allows to listen on 127.0.0.1:8080",
    );
    for (const host of ["127.0.0.1", "127.0.0.2", "[::1]", "localhost"]) {
      expect(ask(grants, "listen", `${host}:8080`).allowed, host).toBe(true);
    }
    for (const host of ["0.0.0.0", "[::]", "192.0.2.1", "10.0.0.1", "[fe80::1]"]) {
      expect(ask(grants, "listen", `${host}:8080`).allowed, host).toBe(false);
    }
    expect(ask(grants, "listen", "localhost:8080", "192.0.2.1").allowed).toBe(false);
    expect(ask(grants, "listen", "127.0.0.1:9000").reason).toContain("is for other ports");
    // Who leaves out the address in the rule, or writes one too many in the tunnel, is told so.
    expect(ask(grants, "listen", "0.0.0.0:8080").reason).toMatch(/"8000-8999" is for loopback$/);
    const elsewhere = listening(["10.0.0.1:80", "192.0.2.1:8080"]);
    expect(ask(elsewhere, "listen", "127.0.0.1:8080").reason).toMatch(
      /"192.0.2.1:8080" is for another address$/,
    );
    expect(ask(elsewhere, "listen", "127.0.0.1:81").reason).toMatch(/127.0.0.1:81$/);
  });

  test("T22: every address at once needs * or that very address", () => {
    for (const rules of [
      ["0.0.0.0/0:8080", "[::/0]:8080"],
      ["0.0.0.0/8:8080", "[::/127]:8080"],
      ["10.0.0.0/8:8080"],
    ]) {
      expect(ask(listening(rules), "listen", "0.0.0.0:8080").allowed, String(rules)).toBe(false);
      expect(ask(listening(rules), "listen", "[::]:8080").allowed, String(rules)).toBe(false);
    }
    expect(ask(listening(["0.0.0.0/0:8080"]), "listen", "192.0.2.1:8080").allowed).toBe(true);
    expect(ask(listening(["0.0.0.0/0:8080"]), "listen", "0.0.0.0:8080").reason).toBe(
      "denied: 0.0.0.0 means every address, which only a rule with * or 0.0.0.0 allows; " +
        'users.alice.listen.allow[0] "0.0.0.0/0:8080" does not',
    );
    expect(ask(listening(["0.0.0.0:8080"]), "listen", "0.0.0.0:8080").allowed).toBe(true);
    expect(ask(listening(["0.0.0.0:8080"]), "listen", "[::]:8080").allowed).toBe(false);
    expect(ask(listening(["0.0.0.0:8080"]), "listen", "192.0.2.1:8080").allowed).toBe(false);
    expect(ask(listening(["[::]:8080"]), "listen", "[::]:8080").allowed).toBe(true);
    expect(ask(listening(["*:8080"]), "listen", "0.0.0.0:8080").allowed).toBe(true);
    expect(ask(listening(["*:8080"]), "listen", "[::]:8080").allowed).toBe(true);
  });

  test("T23: ports are those of the rule, and below 1024 those that are written out", () => {
    const ports = (rule: string) => {
      return [0, 1, 22, 80, 443, 1023, 1024, 8080, 65_535].filter((port) => {
        return ask(listening([rule]), "listen", `127.0.0.1:${port}`).allowed;
      });
    };
    expect(ports("*")).toEqual([0, 1024, 8080, 65_535]);
    expect(ports("*:*")).toEqual([0, 1024, 8080, 65_535]);
    expect(ports("1024-65535")).toEqual([1024, 8080, 65_535]);
    expect(ports("80-8080")).toEqual([80, 443, 1023, 1024, 8080]);
    expect(ports("80,443")).toEqual([80, 443]);
    expect(ports("0")).toEqual([0]);
    expect(ports("0-65535")).toHaveLength(9);
    expect(ask(listening(["*"]), "listen", "127.0.0.1:80").reason).toBe(
      'denied: port 80 is below 1024 and must be written out; users.alice.listen.allow[0] "*" does not',
    );
  });

  test("T23: two users have each the ports of their own", () => {
    const alice = listening(["8000-8099"]);
    const bob = listening(["8100-8199"]);
    expect(ask(alice, "listen", "127.0.0.1:8099").allowed).toBe(true);
    expect(ask(bob, "listen", "127.0.0.1:8099").allowed).toBe(false);
    expect(ask(alice, "listen", "127.0.0.1:8100").allowed).toBe(false);
    expect(ask(bob, "listen", "127.0.0.1:8100").allowed).toBe(true);
  });

  test("T23: the server's own ports never", () => {
    const isOwn = (address: string, port: number) => address === "127.0.0.1" && port === 9000;
    expect(ask(listening(["*:*"]), "listen", "127.0.0.1:9000", undefined, { isOwn }).reason).toBe(
      "denied: 127.0.0.1:9000 is a port of the server itself",
    );
    expect(ask(listening(["*:*"]), "listen", "127.0.0.2:9000", undefined, { isOwn }).allowed).toBe(true);
  });

  test("deny wins, also over a wildcard that takes in what is denied, and a free port that may be", () => {
    const grants = listening(["*:*", "*:443"], ["10.0.0.1:8080", "loopback:443", "*:9000-9099"]);
    expect(ask(grants, "listen", "10.0.0.1:8080").allowed).toBe(false);
    expect(ask(grants, "listen", "10.0.0.2:8080").allowed).toBe(true);
    expect(ask(grants, "listen", "0.0.0.0:8080").reason).toContain(
      'denied by users.alice.listen.deny[0] "10.0.0.1:8080"',
    );
    expect(ask(grants, "listen", "[::]:8080").allowed).toBe(false);
    expect(ask(grants, "listen", "0.0.0.0:443").allowed).toBe(false);
    expect(ask(grants, "listen", "0.0.0.0:8081").allowed).toBe(true);
    expect(ask(grants, "listen", "10.0.0.9:0").allowed).toBe(false);
    expect(ask(listening(["*:*"], ["*:0"]), "listen", "10.0.0.9:0").allowed).toBe(false);
    expect(ask(listening(["*:*"], ["*:22"]), "listen", "10.0.0.9:0").allowed).toBe(true);
    expect(ask(listening(["*:*"], ["[fd00::1]:8080"]), "listen", "0.0.0.0:8080").allowed).toBe(true);
    expect(ask(listening(["*:*"], ["[fd00::1]:8080"]), "listen", "[::]:8080").allowed).toBe(false);
  });

  test("a name is decided on again with the address that it has", () => {
    expect(ask(listening(["10.0.0.0/8:8080"]), "listen", "me.example:8080").allowed).toBe(true);
    expect(ask(listening(["10.0.0.0/8:8080"]), "listen", "me.example:8080", "10.0.0.1").allowed).toBe(true);
    expect(ask(listening(["10.0.0.0/8:8080"]), "listen", "me.example:8080", "11.0.0.1").allowed).toBe(false);
    expect(ask(listening(["10.0.0.0/8:8080"]), "listen", "localhost:8080").allowed).toBe(false);
    expect(ask(listening(["*:8080"]), "listen", "localhost:8080").allowed).toBe(true);
  });

  test("a Unix socket is allowed by its path only", () => {
    const grants = listening(["unix:/run/x.sock", "*:*"]);
    expect(ask(grants, "listen", "unix:///run/x.sock").allowed).toBe(true);
    expect(ask(grants, "listen", "unix:///run/y.sock").reason).toContain("no rule allows to listen on");
  });
});
