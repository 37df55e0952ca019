import { beforeEach, describe, expect, test } from "vitest";
import { type Hello, proofInput, type Resume } from "../src/handshake.ts";
import { SessionBook, type SessionRecord } from "../src/session-book.ts";
import { hex } from "./support/hex.ts";

const GRACE = 1000;
/** Stands for the HMAC: as good for the rules as the real one. */
const prove = (secret: string, input: Uint8Array) => `${secret}:${hex(input)}`;
const verified: string[] = [];
const options = {
  keepEndedMs: GRACE,
  verify: (secret: string, input: Uint8Array, proof: string) => {
    verified.push(secret);
    return proof === prove(secret, input);
  },
};

const INSTANCE = "0".repeat(32);
const hello = (given: Partial<Hello> = {}): Hello => ({
  version: 1,
  instance: INSTANCE,
  name: "web",
  agent: "",
  limits: { maxStreams: 1, maxPendingOpens: 1, maxTunnels: 1, initialWindowBytes: 1, replayLimitBytes: 1 },
  keepalive: { intervalMs: 1, timeoutMs: 1 },
  ...given,
});
const record = (id: string, given: Partial<SessionRecord<string>> = {}): SessionRecord<string> => ({
  id,
  owner: "alice",
  name: "web",
  instance: INSTANCE,
  secret: `secret of ${id}`,
  link: `link of ${id}`,
  ...given,
});
const resume = (session: string, attempt: number, given: Partial<Resume> = {}): Hello => {
  const received = given.received ?? 0;
  const proof = prove(`secret of ${session}`, proofInput(session, attempt, received));
  return hello({ resume: { session, attempt, received, proof, ...given } });
};

let book: SessionBook<string>;
beforeEach(() => {
  book = new SessionBook(options);
  verified.length = 0;
});

describe("a HELLO without a session", () => {
  test("gets a new one when the name is free", () => {
    expect(book.decide(hello(), "alice", 0)).toMatchObject({ kind: "create", displaces: undefined });
    expect(book.size).toBe(0);
  });

  test("displaces who holds the name, and the book waits for the server to do it", () => {
    const old = record("s1");
    book.add(old);
    book.markProven("s1");
    const decision = book.decide(hello({ instance: "f".repeat(32) }), "alice", 0);
    expect(decision).toEqual({ kind: "create", displaces: old, cause: "displaced" });
    expect(book.records()).toEqual([old]);
  });

  test("of the same process replaces a session whose WELCOME was lost, without calling it displaced", () => {
    const old = record("s1");
    book.add(old);
    expect(book.decide(hello(), "alice", 0)).toEqual({
      kind: "create",
      displaces: old,
      cause: "never_welcomed",
    });
  });

  test("of another process displaces also a session that was never proven", () => {
    book.add(record("s1"));
    expect(book.decide(hello({ instance: "f".repeat(32) }), "alice", 0)).toMatchObject({
      cause: "displaced",
    });
  });

  test("of the same client replaces its own session also when that was proven: it lost it, nobody took it", () => {
    book.add(record("s1"));
    book.markProven("s1");
    expect(book.decide(hello(), "alice", 0)).toMatchObject({
      displaces: { id: "s1" },
      cause: "never_welcomed",
    });
  });

  test("of the same client that was overtaken by a later one changes nothing", () => {
    book.add(record("s1"), 5);
    expect(book.decide(hello({ attempt: 4 }), "alice", 0)).toEqual({ kind: "reject", code: "stale_attempt" });
    expect(book.decide(hello(), "alice", 0)).toEqual({ kind: "reject", code: "stale_attempt" });
    expect(book.decide(hello({ attempt: 6 }), "alice", 0)).toMatchObject({ kind: "create" });
    expect(book.records()).toEqual([record("s1")]);
  });

  test("of the same client is overtaken by a resume as well", () => {
    book.add(record("s1"), 5);
    expect(book.decide(resume("s1", 5), "alice", 0)).toMatchObject({ code: "stale_attempt" });
    expect(book.decide(resume("s1", 9), "alice", 0)).toMatchObject({ kind: "resume" });
    expect(book.decide(hello({ attempt: 8 }), "alice", 0)).toMatchObject({ code: "stale_attempt" });
  });

  test("of another client is not measured by the attempts of the one that it displaces", () => {
    book.add(record("s1"), 5);
    const other = hello({ instance: "f".repeat(32), attempt: 1 });
    expect(book.decide(other, "alice", 0)).toMatchObject({ kind: "create", cause: "displaced" });
  });

  test("disturbs nobody with another name, or of another owner", () => {
    book.add(record("s1"));
    expect(book.decide(hello({ name: "Web" }), "alice", 0)).toMatchObject({ displaces: undefined });
    expect(book.decide(hello(), "bob", 0)).toMatchObject({ displaces: undefined });
  });

  test("owner and name cannot be shifted into each other", () => {
    book.add(record("s1", { owner: 'a","b', name: "c" }));
    expect(book.decide(hello({ name: 'b","c' }), "a", 0)).toMatchObject({ displaces: undefined });
    expect(book.decide(hello({ name: "c" }), 'a","b', 0)).toMatchObject({ displaces: { id: "s1" } });
  });
});

describe("a HELLO that resumes", () => {
  beforeEach(() => book.add(record("s1")));

  test("with the right proof gets its session", () => {
    expect(book.decide(resume("s1", 1, { received: 7 }), "alice", 0)).toEqual({
      kind: "resume",
      record: record("s1"),
    });
    expect(book.isProven("s1")).toBe(true);
  });

  test.each([
    ["an unknown session", resume("s2", 1), "alice"],
    ["another owner", resume("s1", 1), "bob"],
    ["a wrong proof", resume("s1", 1, { proof: "x" }), "alice"],
    [
      "the proof for another attempt",
      resume("s1", 2, { proof: resume("s1", 1).resume?.proof ?? "" }),
      "alice",
    ],
    [
      "the proof for another number",
      resume("s1", 1, { received: 1, proof: resume("s1", 1).resume?.proof ?? "" }),
      "alice",
    ],
  ])("with %s gets the one uniform answer, and changes nothing", (_, given, owner) => {
    expect(book.decide(given, owner, 0)).toEqual({ kind: "reject", code: "session_unknown" });
    expect(book.isProven("s1")).toBe(false);
    expect(book.decide(resume("s1", 1), "alice", 0)).toMatchObject({ kind: "resume" });
  });

  test("with an attempt that was accepted already, or an older one, is stale", () => {
    expect(book.decide(resume("s1", 5), "alice", 0)).toMatchObject({ kind: "resume" });
    for (const attempt of [5, 4, 1]) {
      expect(book.decide(resume("s1", attempt), "alice", 0)).toEqual({
        kind: "reject",
        code: "stale_attempt",
      });
    }
    expect(book.decide(resume("s1", 6), "alice", 0)).toMatchObject({ kind: "resume" });
  });

  test("with a high attempt but a wrong proof does not lock the owner out", () => {
    book.decide(resume("s1", Number.MAX_SAFE_INTEGER, { proof: "x" }), "alice", 0);
    expect(book.decide(resume("s1", 1), "alice", 0)).toMatchObject({ kind: "resume" });
  });

  test("learns nothing of another's attempts: staleness is told after the proof only", () => {
    book.decide(resume("s1", 5), "alice", 0);
    expect(book.decide(resume("s1", 1, { proof: "x" }), "alice", 0)).toMatchObject({
      code: "session_unknown",
    });
    expect(book.decide(resume("s1", 1), "bob", 0)).toMatchObject({ code: "session_unknown" });
  });

  test("goes by the session id: the name in that HELLO does not matter", () => {
    expect(book.decide({ ...resume("s1", 1), name: "other" }, "alice", 0)).toMatchObject({ kind: "resume" });
  });
});

describe("a session that ended", () => {
  beforeEach(() => book.add(record("s1")));

  test("is out of the book, and its name is free", () => {
    book.remove("s1", "closed", 0);
    expect(book.size).toBe(0);
    expect(book.isProven("s1")).toBe(false);
    expect(book.decide(hello(), "alice", 0)).toMatchObject({ displaces: undefined });
  });

  test("tells a displaced client so, that it may not come back, until the grace is over", () => {
    book.remove("s1", "displaced", 100);
    expect(book.decide(resume("s1", 9), "alice", 100 + GRACE - 1)).toEqual({
      kind: "reject",
      code: "displaced",
    });
    expect(book.decide(resume("s1", 9), "alice", 100 + GRACE)).toEqual({
      kind: "reject",
      code: "session_unknown",
    });
  });

  test("tells nobody else", () => {
    book.remove("s1", "displaced", 0);
    expect(book.decide(resume("s1", 9), "bob", 1)).toMatchObject({ code: "session_unknown" });
    expect(book.decide(resume("s1", 9, { proof: "x" }), "alice", 1)).toMatchObject({
      code: "session_unknown",
    });
  });

  test.each(["closed", "session_expired", "bad_frame", "replay_gap", "never_welcomed"] as const)(
    "because of %s is simply unknown",
    (code) => {
      book.remove("s1", code, 0);
      expect(book.decide(resume("s1", 1), "alice", 1)).toEqual({ kind: "reject", code: "session_unknown" });
    },
  );

  test("does not free the name that its successor holds by now", () => {
    const next = record("s2", { instance: "f".repeat(32) });
    book.add(next);
    book.remove("s1", "displaced", 0);
    expect(book.decide(hello(), "alice", 0)).toMatchObject({ displaces: { id: "s2" } });
    expect(book.records()).toEqual([next]);
  });

  test("is removed once: its first cause stays", () => {
    book.remove("s1", "displaced", 0);
    book.remove("s1", "closed", 1);
    book.remove("never there", "closed", 1);
    expect(book.decide(resume("s1", 1), "alice", 2)).toMatchObject({ code: "displaced" });
  });
});

describe("what is kept of ended sessions", () => {
  function end(id: string, now: number): void {
    book.add(record(id, { name: id }));
    book.remove(id, "displaced", now);
  }
  const knows = (id: string, now: number) => {
    const decision = book.decide(resume(id, 1), "alice", now);
    return decision.kind === "reject" && decision.code === "displaced";
  };

  test("is bounded: the oldest goes first", () => {
    book = new SessionBook({ ...options, maxEnded: 3 });
    for (const id of ["a", "b", "c", "d"]) end(id, 0);
    expect(["a", "b", "c", "d"].map((id) => knows(id, 1))).toEqual([false, true, true, true]);
  });

  test("goes when its time is over, and does not take the place of the living", () => {
    book = new SessionBook({ ...options, maxEnded: 3 });
    for (const id of ["a", "b"]) end(id, 0);
    for (const id of ["c", "d", "e"]) end(id, GRACE);
    expect(["a", "b", "c", "d", "e"].map((id) => knows(id, GRACE))).toEqual([false, false, true, true, true]);
  });

  test("costs no proof for a session that nobody remembers", () => {
    book.decide(resume("unheard of", 1), "alice", 0);
    expect(verified).toEqual([]);
  });
});

describe("proof that the WELCOME arrived", () => {
  test("is missing at first, and stays once given", () => {
    book.add(record("s1"));
    expect(book.isProven("s1")).toBe(false);
    book.markProven("s1");
    book.markProven("s1");
    expect(book.isProven("s1")).toBe(true);
    book.markProven("unknown");
    expect(book.isProven("unknown")).toBe(false);
  });
});
