import { describe, expect, test } from "vitest";
import { encodeAccept, encodeEnd, encodeOpen, encodeRefuse, encodeReset } from "../src/frame.ts";
import { LoneSession } from "./support/lone-session.ts";
import { RecordingHandler } from "./support/recording-handler.ts";

const tcp = { kind: "tcp" } as const;

describe("ids", () => {
  test("are odd for the client and even for the server, and go up by two", () => {
    for (const [role, ids] of [
      ["client", [1, 3, 5]],
      ["server", [2, 4, 6]],
    ] as const) {
      const lone = new LoneSession({ role });
      expect([1, 2, 3].map(() => lone.open().stream.id)).toEqual(ids);
    }
  });

  test("of the peer may leave others out, and may be as large as 2^48 - 1", () => {
    const lone = new LoneSession({ role: "server" });
    for (const id of [1, 3, 101, 2 ** 40 + 1, 2 ** 48 - 1]) expect(lone.offer(id).id).toBe(id);
    expect(lone.endedBecause).toBeUndefined();
  });

  test.each([
    ["client", 1],
    ["client", 0],
    ["client", 2 ** 48 - 1],
    ["server", 2],
    ["server", 0],
  ] as const)("a %s takes no OPEN with id %i", (role, id) => {
    const lone = new LoneSession({ role });
    lone.give(encodeOpen(id, tcp));
    expect(lone.endedBecause).toBe("bad_stream_id");
  });

  test.each([5, 3, 1])("after 5 comes no OPEN with id %i, whatever became of it", (id) => {
    for (const forgotten of [false, true]) {
      const lone = new LoneSession({ role: "server" });
      lone.offer(5);
      if (forgotten) lone.give(encodeReset(5, "cancelled"));
      lone.takeMessages();
      lone.give(encodeOpen(id, tcp));
      expect(lone.endedBecause).toBe("bad_stream_id");
    }
  });
});

describe("the peer's limits", () => {
  test("make opens wait: streams", () => {
    const lone = new LoneSession({ peerLimits: { maxStreams: 2 } });
    const streams = [lone.open(), lone.open(), lone.open(), lone.open()];
    expect(lone.sent()).toBe("OPEN 1, OPEN 3");
    expect(lone.session.waitingOpens).toBe(2);
    lone.give(encodeAccept(1), encodeEnd(1, 0));
    expect(lone.sent()).toBe("");
    streams[0]?.stream.end();
    expect(lone.sent()).toBe("END 1 0, OPEN 5"); // the place is free when END has left, and not before
    expect(lone.session.waitingOpens).toBe(1);
  });

  test("make opens wait: answers", () => {
    const lone = new LoneSession({ peerLimits: { maxPendingOpens: 1 } });
    for (let i = 0; i < 3; i += 1) lone.open();
    expect(lone.sent()).toBe("OPEN 1");
    lone.give(encodeAccept(1));
    expect(lone.sent()).toBe("OPEN 3");
    lone.give(encodeRefuse(3, "target_refused"));
    expect(lone.sent()).toBe("RESET 3 target_refused, OPEN 5");
  });

  // Otherwise it waits for the next output of another cause: the ack that is due in 25 ms.
  test.each([
    ["an answer", { maxPendingOpens: 1 }, [encodeAccept(1)]],
    ["the peer's END", { maxStreams: 1 }, [encodeAccept(1), encodeEnd(1, 0)]],
  ])("the driver is told that an OPEN may leave when %s made room", (_, peerLimits, messages) => {
    const lone = new LoneSession({ peerLimits });
    lone.open().stream.end();
    lone.open();
    expect(lone.sent()).toBe("OPEN 1, END 1 0");
    lone.signals = 0;
    lone.give(...messages);
    expect(lone.signals).toBe(1);
  });

  test("an open that was reset counts until the peer has answered", () => {
    const lone = new LoneSession({ peerLimits: { maxPendingOpens: 1, maxStreams: 1 } });
    const { stream } = lone.open();
    lone.open();
    lone.sent();
    stream.reset("cancelled");
    expect(lone.sent()).toBe("RESET 1 cancelled");
    lone.give(encodeReset(1, "cancelled"));
    expect(lone.sent()).toBe("OPEN 3");
  });

  test("a queued RESET leaves before the OPEN that takes its place", () => {
    const lone = new LoneSession({ peerLimits: { maxStreams: 1 } });
    lone.open();
    lone.open();
    lone.sent();
    lone.give(encodeAccept(1), encodeReset(1, "connection_reset"));
    expect(lone.sent()).toBe("RESET 1 connection_reset, OPEN 3");
  });

  test("opens leave in the order of their ids", () => {
    const lone = new LoneSession({ attached: false });
    const streams = [1, 2, 3, 4].map(() => lone.open().stream);
    streams[2]?.reset("cancelled");
    streams[0]?.reset("cancelled");
    lone.attach(0);
    expect(lone.sent()).toBe("OPEN 3, OPEN 7");
  });
});

describe("this side's limits", () => {
  test("streams: the last one allowed is taken, one more is a violation", () => {
    const lone = new LoneSession({ role: "server", options: { maxStreams: 2 } });
    lone.offer(1);
    lone.offer(3);
    expect(lone.endedBecause).toBeUndefined();
    lone.give(encodeOpen(5, tcp));
    expect(lone.endedBecause).toBe("limit_exceeded");
  });

  test("pending opens: an answer makes room, at once", () => {
    const lone = new LoneSession({ role: "server", options: { maxPendingOpens: 1 } });
    lone.accept(1);
    lone.offer(3).refuse("target_refused");
    lone.offer(5);
    expect(lone.endedBecause).toBeUndefined();
    lone.give(encodeOpen(7, tcp));
    expect(lone.endedBecause).toBe("limit_exceeded");
  });

  test.each([
    ["refused, then reset by the opener", "refuse"],
    ["accepted, then reset by the opener", "accept"],
    ["never answered, but reset by the opener", ""],
  ])("pending opens: a stream that was %s makes room for one, not for two", (_, answer) => {
    const lone = new LoneSession({ role: "server", options: { maxPendingOpens: 1 } });
    const incoming = lone.offer(1);
    if (answer === "refuse") incoming.refuse("target_refused");
    if (answer === "accept") incoming.accept(new RecordingHandler());
    lone.takeMessages();
    lone.give(encodeReset(1, "cancelled"));
    lone.takeMessages();
    lone.offer(3);
    lone.give(encodeOpen(5, tcp));
    expect(lone.endedBecause).toBe("limit_exceeded");
  });

  test("a refused stream counts until the opener has reset it too", () => {
    const lone = new LoneSession({ role: "server", options: { maxStreams: 1 } });
    lone.offer(1).refuse("target_refused");
    lone.takeMessages();
    lone.give(encodeReset(1, "target_refused"));
    lone.offer(3);
    expect(lone.endedBecause).toBeUndefined();
  });

  test("a flood of OPEN and RESET cannot have more at work than the limit, while nothing leaves", () => {
    const lone = new LoneSession({ role: "server", options: { maxStreams: 10 } });
    for (let id = 1; lone.endedBecause === undefined && id < 1000; id += 2) {
      lone.give(encodeOpen(id, tcp), encodeReset(id, "cancelled"));
    }
    expect(lone.endedBecause).toBe("limit_exceeded");
    expect(lone.takeEvents().filter((e) => e.type === "stream")).toHaveLength(10);
  });

  // Either end may forget first: who counts the peer's streams must never count more than the peer does.
  test.each([
    ["both ended", [encodeEnd(1, 0)], "end"],
    ["ended, then reset while RESET waits; the opener ended", [encodeEnd(1, 0)], "end, reset"],
    ["ended, then reset while RESET waits; the opener reset", [encodeReset(1, "cancelled")], "end, reset"],
    ["ended, and the opener reset", [encodeReset(1, "cancelled")], "end"],
  ])("an opener that forgot a stream may open the next: %s", (_, last, deeds) => {
    const lone = new LoneSession({ role: "server", options: { maxStreams: 1 } });
    const { stream } = lone.accept(1);
    lone.sent();
    stream.end();
    lone.sent();
    if (deeds.endsWith("reset")) stream.reset("connection_reset"); // queued, and no transport takes it now
    lone.give(...last, encodeOpen(3, tcp));
    expect(lone.endedBecause).toBeUndefined();
    expect(lone.session.streams).toBe(1);
  });

  test("waiting opens: the last one allowed is taken, one more is refused on the spot", () => {
    const lone = new LoneSession({ attached: false, options: { maxWaitingOpens: 2 } });
    const first = lone.open();
    lone.open();
    expect(() => lone.open()).toThrow(expect.objectContaining({ code: "stream_limit" }));
    first.stream.reset("cancelled");
    lone.open();
    expect(lone.session.waitingOpens).toBe(2);
  });
});
