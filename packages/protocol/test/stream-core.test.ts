import { describe, expect, test } from "vitest";
import {
  encodeAccept,
  encodeData,
  encodeEnd,
  encodeRefuse,
  encodeReset,
  encodeWindow,
} from "../src/frame.ts";
import type { Stream } from "../src/stream.ts";
import { bytes } from "./support/hex.ts";
import { LoneSession } from "./support/lone-session.ts";
import { RecordingHandler } from "./support/recording-handler.ts";

/** A stream brought into some state, seen by its owner, by its peer and by the session's books. */
interface Scene {
  readonly lone: LoneSession;
  readonly id: number;
  readonly stream: Stream | undefined;
  readonly handler: RecordingHandler;
}

// -- bringing a stream into each state; `sent` drops what was sent on the way, `heard` what was heard

function asked(): Scene {
  const lone = new LoneSession();
  const { stream, handler } = lone.open();
  lone.sent();
  return { lone, id: 1, stream, handler };
}

function offered(): Scene & { accept: () => Scene; refuse: () => Scene } {
  const lone = new LoneSession();
  const incoming = lone.offer(2);
  const handler = new RecordingHandler();
  const scene = { lone, id: 2, stream: undefined, handler };
  return {
    ...scene,
    accept: () => ({ ...scene, stream: incoming.accept(handler) }),
    refuse: () => {
      incoming.refuse("target_refused");
      return scene;
    },
  };
}

function after(scene: Scene, ...steps: ((scene: Scene) => void)[]): Scene {
  for (const step of steps) step(scene);
  scene.lone.sent();
  scene.handler.heard();
  return scene;
}

const accepted = ({ lone, id }: Scene) => lone.give(encodeAccept(id));
const end = ({ lone, stream }: Scene) => {
  stream?.end();
  lone.sent();
};
const reset = ({ lone, stream }: Scene) => {
  stream?.reset("cancelled");
  lone.sent();
};
const peerEnd = ({ lone, id }: Scene) => lone.give(encodeEnd(id, 0));

const STATES: Readonly<Record<string, () => Scene>> = {
  asked: () => after(asked()),
  "asked, ended": () => after(asked(), end),
  "asked, reset": () => after(asked(), reset),
  "opener, open": () => after(asked(), accepted),
  "opener, ended": () => after(asked(), accepted, end),
  "opener, peer ended": () => after(asked(), accepted, peerEnd),
  "opener, reset": () => after(asked(), accepted, reset),
  "opener, ended and reset": () => after(asked(), accepted, end, reset),
  "opener, forgotten": () => after(asked(), accepted, end, peerEnd),
  offered: () => after(offered()),
  "offered, peer ended": () => after(offered(), peerEnd),
  refused: () => after(offered().refuse()),
  "acceptor, open": () => after(offered().accept()),
  "acceptor, ended": () => after(offered().accept(), end),
  "acceptor, peer ended": () => after(offered().accept(), peerEnd),
  "acceptor, reset": () => after(offered().accept(), reset),
  "acceptor, ended and reset": () => after(offered().accept(), end, reset),
  "acceptor, forgotten": () => after(offered().accept(), end, peerEnd),
};

// -- what the peer may send

const INPUTS: Readonly<Record<string, (id: number) => Uint8Array>> = {
  ACCEPT: encodeAccept,
  REFUSE: (id) => encodeRefuse(id, "target_timeout"),
  DATA: (id) => encodeData(id, 0, bytes("0a0b")),
  END: (id) => encodeEnd(id, 0),
  RESET: (id) => encodeReset(id, "connection_reset"),
  WINDOW: (id) => encodeWindow(id, 100_000),
};

/**
 * What each input does in each state: what the owner hears; what is sent; whether the stream is still there. `!code`
 * ends the session. `-` changes nothing.
 */
const TABLE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  asked: {
    ACCEPT: "accept | | there",
    REFUSE: "reset target_timeout | RESET 1 target_timeout | gone",
    DATA: "!unexpected_frame",
    END: "!unexpected_frame",
    RESET: "reset connection_reset | RESET 1 connection_reset | gone",
    WINDOW: "-",
  },
  "asked, ended": {
    ACCEPT: "accept | | there",
    REFUSE: "reset target_timeout | | gone",
    DATA: "!unexpected_frame",
    END: "!unexpected_frame",
    RESET: "reset connection_reset | | gone",
    WINDOW: "-",
  },
  "asked, reset": {
    ACCEPT: "-",
    REFUSE: " | | gone",
    DATA: "!unexpected_frame",
    END: "!unexpected_frame",
    RESET: " | | gone",
    WINDOW: "-",
  },
  "opener, open": {
    ACCEPT: "!unexpected_frame",
    REFUSE: "!unexpected_frame",
    DATA: "data 0a0b | | there",
    END: "end | | there",
    RESET: "reset connection_reset | RESET 1 connection_reset | gone",
    WINDOW: "-",
  },
  "opener, ended": {
    ACCEPT: "!unexpected_frame",
    REFUSE: "!unexpected_frame",
    DATA: "data 0a0b | | there",
    END: "end, finished | | gone",
    RESET: "reset connection_reset | | gone",
    WINDOW: "-",
  },
  "opener, peer ended": {
    ACCEPT: "!unexpected_frame",
    REFUSE: "!unexpected_frame",
    DATA: "!unexpected_frame",
    END: "!unexpected_frame",
    RESET: "reset connection_reset after all | RESET 1 connection_reset | gone",
    WINDOW: "-",
  },
  "opener, reset": {
    ACCEPT: "!unexpected_frame",
    REFUSE: "!unexpected_frame",
    DATA: "-",
    END: " | | gone",
    RESET: " | | gone",
    WINDOW: "-",
  },
  "opener, ended and reset": {
    ACCEPT: "!unexpected_frame",
    REFUSE: "!unexpected_frame",
    DATA: "-",
    END: " | | gone",
    RESET: " | | gone",
    WINDOW: "-",
  },
  "opener, forgotten": {
    ACCEPT: "!unknown_stream",
    REFUSE: "!unknown_stream",
    DATA: "!unknown_stream",
    END: "!unknown_stream",
    RESET: "-",
    WINDOW: "-",
  },
  offered: {
    ACCEPT: "!unexpected_frame",
    REFUSE: "!unexpected_frame",
    DATA: "-",
    END: "-",
    RESET: " | RESET 2 connection_reset | gone",
    WINDOW: "-",
  },
  "offered, peer ended": {
    ACCEPT: "!unexpected_frame",
    REFUSE: "!unexpected_frame",
    DATA: "!unexpected_frame",
    END: "!unexpected_frame",
    RESET: " | RESET 2 connection_reset | gone",
    WINDOW: "-",
  },
  refused: {
    ACCEPT: "!unexpected_frame",
    REFUSE: "!unexpected_frame",
    DATA: "-",
    END: " | | gone",
    RESET: " | | gone",
    WINDOW: "-",
  },
  "acceptor, open": {
    ACCEPT: "!unexpected_frame",
    REFUSE: "!unexpected_frame",
    DATA: "data 0a0b | | there",
    END: "end | | there",
    RESET: "reset connection_reset | RESET 2 connection_reset | gone",
    WINDOW: "-",
  },
  "acceptor, ended": {
    ACCEPT: "!unexpected_frame",
    REFUSE: "!unexpected_frame",
    DATA: "data 0a0b | | there",
    END: "end, finished | | gone",
    RESET: "reset connection_reset | | gone",
    WINDOW: "-",
  },
  "acceptor, peer ended": {
    ACCEPT: "!unexpected_frame",
    REFUSE: "!unexpected_frame",
    DATA: "!unexpected_frame",
    END: "!unexpected_frame",
    RESET: "reset connection_reset after all | RESET 2 connection_reset | gone",
    WINDOW: "-",
  },
  "acceptor, reset": {
    ACCEPT: "!unexpected_frame",
    REFUSE: "!unexpected_frame",
    DATA: "-",
    END: " | | gone",
    RESET: " | | gone",
    WINDOW: "-",
  },
  "acceptor, ended and reset": {
    ACCEPT: "!unexpected_frame",
    REFUSE: "!unexpected_frame",
    DATA: "-",
    END: " | | gone",
    RESET: " | | gone",
    WINDOW: "-",
  },
  "acceptor, forgotten": {
    ACCEPT: "!unknown_stream",
    REFUSE: "!unknown_stream",
    DATA: "!unknown_stream",
    END: "!unknown_stream",
    RESET: "-",
    WINDOW: "-",
  },
};

describe("what the peer sends", () => {
  test("has a row for each state and a column for each frame", () => {
    expect(Object.keys(TABLE)).toEqual(Object.keys(STATES));
    for (const row of Object.values(TABLE)) expect(Object.keys(row)).toEqual(Object.keys(INPUTS));
  });

  const cells = Object.entries(TABLE).flatMap(([state, row]) =>
    Object.entries(row).map(([input, outcome]) => [state, input, outcome] as const),
  );
  test.each(cells)("%s + %s = %s", (state, input, expected) => {
    const scene = (STATES[state] as () => Scene)();
    const { lone, id, handler } = scene;
    const before = lone.session.streams;
    lone.give((INPUTS[input] as (id: number) => Uint8Array)(id));
    if (expected.startsWith("!")) {
      expect(lone.endedBecause).toBe(expected.slice(1));
      expect(lone.farewell).toBeDefined();
      return;
    }
    const sent = lone.sent();
    const outcome = [handler.heard(), sent, lone.session.streams > 0 ? "there" : "gone"];
    expect(lone.endedBecause).toBeUndefined();
    if (expected === "-") expect(outcome).toEqual(["", "", before > 0 ? "there" : "gone"]);
    else expect(outcome).toEqual(expected.split("|").map((part) => part.trim()));
  });
});

describe("what the owner does", () => {
  const ACTIONS: Readonly<Record<string, (stream: Stream) => void>> = {
    write: (stream) => void stream.write(bytes("0102")),
    end: (stream) => stream.end(),
    reset: (stream) => stream.reset("cancelled"),
    consumed: (stream) => stream.consumed(5),
  };
  // What is sent. Nothing is heard of one's own deeds but `finished`.
  const OWNER: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    asked: { write: "DATA 1 @0 0102", end: "END 1 0", reset: "RESET 1 cancelled" },
    "asked, ended": { reset: "RESET 1 cancelled" },
    "asked, reset": {},
    "opener, open": { write: "DATA 1 @0 0102", end: "END 1 0", reset: "RESET 1 cancelled" },
    "opener, ended": { reset: "RESET 1 cancelled" },
    "opener, peer ended": { write: "DATA 1 @0 0102", end: "END 1 0", reset: "RESET 1 cancelled" },
    "opener, reset": {},
    "opener, ended and reset": {},
    "opener, forgotten": {},
    "acceptor, open": { write: "DATA 2 @0 0102", end: "END 2 0", reset: "RESET 2 cancelled" },
    "acceptor, ended": { reset: "RESET 2 cancelled" },
    "acceptor, peer ended": { write: "DATA 2 @0 0102", end: "END 2 0", reset: "RESET 2 cancelled" },
    "acceptor, reset": {},
    "acceptor, ended and reset": {},
    "acceptor, forgotten": {},
  };
  const cells = Object.entries(OWNER).flatMap(([state, row]) =>
    Object.keys(ACTIONS).map((action) => [state, action, row[action] ?? ""] as const),
  );
  test.each(cells)("%s + %s sends '%s'", (state, action, sent) => {
    const { lone, stream, handler } = (STATES[state] as () => Scene)();
    (ACTIONS[action] as (stream: Stream) => void)(stream as Stream);
    expect(lone.sent()).toBe(sent);
    const finishes = action === "end" && state.endsWith("peer ended");
    expect(handler.heard()).toBe(finishes ? "finished" : "");
    expect(lone.endedBecause).toBeUndefined();
  });

  test("after a reset nothing is heard, whatever still comes", () => {
    const { lone, stream, handler } = after(asked(), accepted);
    stream?.reset("cancelled");
    lone.give(encodeData(1, 0, bytes("01")), encodeData(1, 1, bytes("02")), encodeEnd(1, 2));
    lone.sent();
    lone.give(encodeReset(1, "closed"));
    expect(handler.heard()).toBe("");
    expect(lone.session.streams).toBe(0);
  });

  test("a reset twice is one RESET, with the first code", () => {
    const { lone, stream } = after(asked(), accepted);
    stream?.reset("cancelled");
    stream?.reset("internal_error");
    expect(lone.sent()).toBe("RESET 1 cancelled");
  });
});

describe("writing", () => {
  test("sends in order, END last", () => {
    const { lone, stream } = after(asked(), accepted);
    stream?.write(bytes("01"));
    stream?.write(bytes("0203"));
    stream?.end();
    stream?.write(bytes("ff"));
    stream?.end();
    expect(lone.sent()).toBe("DATA 1 @0 010203, END 1 3");
  });

  test("says nothing of room that was never missing", () => {
    const { lone, stream, handler } = after(asked(), accepted);
    for (let i = 0; i < 5; i += 1) {
      stream?.write(bytes("0102"));
      lone.sent();
    }
    expect(handler.heard()).toBe("");
  });

  test("stops at the window and goes on with WINDOW; END waits behind the data", () => {
    const { lone, stream } = after(asked(), accepted);
    stream?.write(new Uint8Array(10_000));
    stream?.end();
    expect(lone.sent()).toBe("DATA 1 @0 8192");
    expect(stream?.writableBytes).toBe(1808);
    lone.give(encodeWindow(1, 8193));
    expect(lone.sent()).toBe("DATA 1 @8192 00");
    lone.give(encodeWindow(1, 8193));
    expect(lone.sent()).toBe("");
    lone.give(encodeWindow(1, 2 ** 53 - 1));
    expect(lone.sent()).toBe("DATA 1 @8193 1807, END 1 10000");
  });

  test("END needs no window", () => {
    const { lone, stream } = after(asked(), accepted);
    stream?.write(new Uint8Array(8192));
    stream?.end();
    expect(lone.sent()).toBe("DATA 1 @0 8192, END 1 8192");
  });

  test("a reset drops what is queued, and an END with it", () => {
    const { lone, stream } = after(asked(), accepted);
    stream?.write(new Uint8Array(10_000));
    stream?.end();
    lone.sent();
    stream?.reset("cancelled");
    expect(stream?.writableBytes).toBe(0);
    expect(lone.sent()).toBe("RESET 1 cancelled");
  });

  test("says pause at the high water mark, and writable once at half of it", () => {
    const lone = new LoneSession({ options: { writeHighWaterBytes: 1000 } });
    const { stream, handler } = lone.open();
    expect(stream.write(new Uint8Array(999))).toBe(true);
    expect(stream.write(new Uint8Array(9001))).toBe(false);
    lone.sent();
    expect(handler.heard()).toBe("");
    expect(stream.writableBytes).toBe(1808);
    lone.give(encodeAccept(1), encodeWindow(1, 8192 + 1307));
    expect(lone.sent()).toBe("DATA 1 @8192 1307");
    expect(handler.heard()).toBe("accept");
    lone.give(encodeWindow(1, 8192 + 1308));
    lone.sent();
    expect(handler.heard()).toBe("writable");
    lone.give(encodeWindow(1, 100_000));
    lone.sent();
    expect(handler.heard()).toBe("");
  });

  test("lets one stream queue eight times the high water mark while all together queue little", () => {
    const lone = new LoneSession({ attached: false, options: { writeHighWaterBytes: 1000 } });
    const [one, two, three] = [lone.open(), lone.open(), lone.open()].map(({ stream }) => stream);
    expect(one?.write(new Uint8Array(7999))).toBe(true);
    expect(one?.write(new Uint8Array(1))).toBe(false);
    expect(two?.write(new Uint8Array(7999))).toBe(true);
    expect(three?.write(new Uint8Array(1000))).toBe(false); // 16,000 bytes and more are queued by now
    expect(three?.write(new Uint8Array(0))).toBe(false);
    one?.reset("cancelled"); // its bytes no longer count
    expect(two?.write(new Uint8Array(0))).toBe(true);
    expect(three?.write(new Uint8Array(1000))).toBe(true);
  });

  test("tells how long the session was attached, and what only the transport holds back", () => {
    const lone = new LoneSession();
    const { stream } = lone.open();
    lone.sent();
    lone.now = 100;
    expect(stream.attachedMs(150)).toBe(150);
    lone.detach();
    expect(stream.attachedMs(900)).toBe(100);
    expect(stream.isSendable).toBe(false);
    stream.write(new Uint8Array(8192));
    expect(stream.isSendable).toBe(true);
    lone.now = 1000;
    lone.attach(1);
    expect(stream.attachedMs(1010)).toBe(110);
    lone.sent();
    stream.write(new Uint8Array(1)); // waits for credit
    expect(stream.isSendable).toBe(false);
  });

  test("counts what is queued and nothing else, however streams end", () => {
    const lone = new LoneSession({ options: { writeHighWaterBytes: 1000 } });
    for (let i = 0; i < 40; i += 1) {
      const { stream } = lone.open();
      stream.write(new Uint8Array(900));
      if (i % 4 === 0) stream.reset("cancelled");
      lone.takeMessages();
      if (i % 4 === 1) stream.reset("cancelled");
      if (i % 4 === 2) lone.give(encodeReset(stream.id, "closed"));
      lone.takeMessages();
    }
    const { stream } = lone.open();
    expect(stream.write(new Uint8Array(7999))).toBe(true);
  });

  test("an owner may write from inside onWritable, and reset from inside onData", () => {
    const lone = new LoneSession({ options: { writeHighWaterBytes: 10 } });
    const handler = new RecordingHandler();
    const stream = lone.session.open({ kind: "tcp" }, handler, 0);
    let rounds = 0;
    handler.onWritable = () => {
      rounds += 1;
      if (rounds < 5) stream.write(new Uint8Array(80));
    };
    handler.onData = () => stream.reset("cancelled");
    stream.write(new Uint8Array(80));
    expect(lone.takeFrames()).toHaveLength(6);
    lone.give(encodeAccept(1), encodeData(1, 0, bytes("01")), encodeData(1, 1, bytes("02")));
    expect(lone.sent()).toBe("RESET 1 cancelled");
    expect(lone.endedBecause).toBeUndefined();
  });

  test("a chunk without bytes is nothing", () => {
    const { lone, stream } = after(asked(), accepted);
    expect(stream?.write(new Uint8Array(0))).toBe(true);
    expect(lone.sent()).toBe("");
  });

  test("a large write is cut into the largest payloads", () => {
    const lone = new LoneSession({
      options: { maxPayloadBytes: 100 },
      peerLimits: { initialWindowBytes: 250 },
    });
    lone.open().stream.write(new Uint8Array(300));
    const lengths = lone
      .takeFrames()
      .flatMap((frame) => (frame.type === "data" ? [frame.payload.length] : []));
    expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(250);
    expect(Math.max(...lengths)).toBe(100);
    expect(lengths).toHaveLength(3);
  });
});

describe("data before the answer", () => {
  test("the opener sends at once, within the initial window (0-RTT)", () => {
    const lone = new LoneSession();
    const { stream } = lone.open();
    stream.write(new Uint8Array(9000));
    stream.end();
    expect(lone.sent()).toBe("OPEN 1, DATA 1 @0 8192");
  });

  test("is held, and handed over with its end when the owner is there", () => {
    const lone = new LoneSession();
    const incoming = lone.offer(2);
    lone.give(encodeData(2, 0, bytes("0102")), encodeData(2, 2, bytes("03")), encodeEnd(2, 3));
    const handler = new RecordingHandler();
    const stream = incoming.accept(handler);
    expect(handler.heard()).toBe(""); // never from inside accept: the owner has no stream yet
    expect(lone.sent()).toBe("ACCEPT 2");
    expect(handler.heard()).toBe("data 0102, data 03, end");
    stream.end();
    expect(lone.sent()).toBe("END 2 0");
    expect(handler.heard()).toBe("finished");
    expect(lone.session.streams).toBe(0);
  });

  test("is handed over also while detached", () => {
    const lone = new LoneSession();
    const incoming = lone.offer(2);
    lone.give(encodeData(2, 0, bytes("0102")));
    lone.detach();
    const handler = new RecordingHandler();
    incoming.accept(handler);
    expect(lone.sent()).toBe("");
    expect(handler.heard()).toBe("data 0102");
  });

  test("stays in order with data that comes before it was handed over", () => {
    const lone = new LoneSession();
    const incoming = lone.offer(2);
    lone.give(encodeData(2, 0, bytes("01")));
    const handler = new RecordingHandler();
    incoming.accept(handler);
    lone.give(encodeData(2, 1, bytes("02")), encodeEnd(2, 2));
    lone.sent();
    expect(handler.heard()).toBe("data 01, data 02, end");
  });

  test("is held as a copy, so that it does not keep a large buffer", () => {
    const lone = new LoneSession();
    const incoming = lone.offer(2);
    const large = new Uint8Array(65_536);
    large.set(encodeData(2, 0, bytes("0a")));
    lone.give(large.subarray(0, 12));
    large.fill(0xff);
    const handler = new RecordingHandler();
    incoming.accept(handler);
    lone.sent();
    expect(handler.chunks[0]?.buffer.byteLength).toBe(1);
    expect(handler.heard()).toBe("data 0a");
  });

  test("is dropped when the opener resets before the answer", () => {
    const lone = new LoneSession();
    const incoming = lone.offer(2);
    let cancelled = 0;
    incoming.onCancelled = () => {
      cancelled += 1;
    };
    lone.give(encodeData(2, 0, bytes("01")), encodeReset(2, "cancelled"));
    expect(cancelled).toBe(1);
    const handler = new RecordingHandler();
    const stream = incoming.accept(handler);
    stream.write(bytes("01"));
    incoming.refuse("target_refused");
    expect(lone.sent()).toBe("RESET 2 cancelled");
    expect(handler.heard()).toBe("");
    expect(lone.session.streams).toBe(0);
  });

  test("an owner that resets while held data is handed over hears no more of it", () => {
    const lone = new LoneSession();
    const incoming = lone.offer(2);
    lone.give(encodeData(2, 0, bytes("01")), encodeData(2, 1, bytes("02")), encodeEnd(2, 2));
    const handler = new RecordingHandler();
    const stream = incoming.accept(handler);
    handler.onData = () => {
      handler.log.push("one");
      stream.reset("cancelled");
    };
    expect(lone.sent()).toBe("ACCEPT 2, RESET 2 cancelled");
    expect(handler.heard()).toBe("one");
    expect(lone.session.streams).toBe(0);
  });

  test.each([
    ["data", [encodeData(2, 0, bytes("01"))], "data 01, reset connection_reset"],
    [
      "data with its end",
      [encodeData(2, 0, bytes("01")), encodeEnd(2, 1)],
      "data 01, end, reset connection_reset after all",
    ],
  ])("%s that is held comes before the RESET that followed it", (_, messages, heard) => {
    const lone = new LoneSession();
    const incoming = lone.offer(2);
    lone.give(...messages);
    const handler = new RecordingHandler();
    incoming.accept(handler);
    lone.give(encodeReset(2, "connection_reset"));
    expect(handler.heard()).toBe(heard);
    lone.sent();
    expect(handler.heard()).toBe("");
    expect(lone.session.streams).toBe(0);
  });

  test("an owner that ended already, and gets held END and RESET at once, has finished", () => {
    const lone = new LoneSession();
    const incoming = lone.offer(2);
    const handler = new RecordingHandler();
    const stream = incoming.accept(handler);
    stream.end();
    lone.sent();
    lone.give(encodeData(2, 0, bytes("01")), encodeEnd(2, 1), encodeReset(2, "closed"));
    expect(handler.heard()).toBe("data 01, end, finished");
  });

  test("the answer counts once", () => {
    const lone = new LoneSession();
    const incoming = lone.offer(2);
    const [first, second] = [new RecordingHandler(), new RecordingHandler()];
    incoming.accept(first);
    incoming.accept(second);
    incoming.refuse("target_refused");
    expect(lone.sent()).toBe("ACCEPT 2");
    lone.give(encodeData(2, 0, bytes("01")));
    expect([first.heard(), second.heard()]).toEqual(["data 01", ""]);
  });

  // Whoever asks a policy or a name server first may set it late, and must not dial for nobody.
  test("who asks too late to be told of a cancellation is told at once", () => {
    const lone = new LoneSession();
    const incoming = lone.offer(2);
    lone.give(encodeReset(2, "cancelled"));
    let cancelled = 0;
    incoming.onCancelled = () => {
      cancelled += 1;
    };
    expect(cancelled).toBe(1);
  });

  // 8,192 frames of one byte on each of 1,024 pending opens are legal; as objects they are a gigabyte.
  test("costs memory by its bytes and not by its frames", () => {
    const lone = new LoneSession();
    const incoming = lone.offer(2);
    for (let i = 0; i < 8192; i += 1) lone.give(encodeData(2, i, bytes("01")));
    const handler = new RecordingHandler();
    incoming.accept(handler);
    lone.takeMessages();
    expect(handler.data).toHaveLength(8192);
    expect(handler.chunks.length).toBeLessThan(100);
  });
});

describe("numbers that do not agree end the session", () => {
  test.each([
    ["DATA from the future", encodeData(1, 3, bytes("01")), "offset_mismatch"],
    ["DATA again", encodeData(1, 0, bytes("01")), "offset_mismatch"],
    ["DATA beyond the window by one byte", encodeData(1, 2, new Uint8Array(8191)), "window_exceeded"],
    ["END with too little", encodeEnd(1, 1), "offset_mismatch"],
    ["END with too much", encodeEnd(1, 3), "offset_mismatch"],
    ["WINDOW below the initial one", encodeWindow(1, 8191), "bad_window"],
  ])("%s", (_, message, code) => {
    for (const silenced of [false, true]) {
      const { lone, stream } = after(asked(), accepted);
      lone.give(encodeData(1, 0, bytes("0a0b")));
      // Also when nobody listens any more.
      if (silenced) stream?.reset("cancelled");
      lone.give(message);
      expect(lone.endedBecause).toBe(code);
    }
  });

  test("a window may never shrink", () => {
    const { lone } = after(asked(), accepted);
    lone.give(encodeWindow(1, 50_000), encodeWindow(1, 50_000));
    expect(lone.endedBecause).toBeUndefined();
    lone.give(encodeWindow(1, 49_999));
    expect(lone.endedBecause).toBe("bad_window");
  });
});

describe("a stream that is over", () => {
  test("gives its window back to the session, read or not", () => {
    const cases: ((scene: Scene) => void)[] = [
      ({ stream }) => stream?.reset("cancelled"),
      ({ lone }) => lone.give(encodeReset(1, "connection_reset")),
      ({ lone, stream }) => {
        stream?.end();
        lone.give(encodeEnd(1, 100_000));
        lone.sent();
        stream?.consumed(100_000);
      },
    ];
    for (const over of cases) {
      const scene = withLargeWindow();
      over(scene);
      scene.lone.sent();
      expect(scene.lone.session.counters.windowBytes).toBe(0);
    }
  });

  // The visitor's socket may die with the last bytes in its buffer: nobody will ever say that they were consumed.
  test("gives its window back when its owner resets it after both ends", () => {
    const { lone, stream } = withLargeWindow();
    stream?.end();
    lone.give(encodeEnd(1, 100_000));
    lone.sent();
    stream?.reset("connection_reset");
    expect(lone.session.counters.windowBytes).toBe(0);
  });

  function withLargeWindow(): Scene {
    const scene = after(asked(), accepted);
    scene.lone.give(encodeData(1, 0, new Uint8Array(8192)));
    scene.stream?.consumed(8192);
    expect(scene.lone.sent()).toBe(`WINDOW 1 ${8192 + 256 * 1024}`);
    scene.lone.give(
      encodeData(1, 8192, new Uint8Array(65_536)),
      encodeData(1, 73_728, new Uint8Array(26_272)),
    );
    return scene;
  }

  test("sends no WINDOW any more", () => {
    for (const over of [peerEndAt(8192), reset]) {
      const scene = after(asked(), accepted);
      scene.lone.give(encodeData(1, 0, new Uint8Array(8192)));
      over(scene);
      scene.stream?.consumed(8192);
      expect(scene.lone.sent()).toBe("");
    }
  });

  function peerEndAt(total: number) {
    return ({ lone, id }: Scene) => lone.give(encodeEnd(id, total));
  }
});

describe("an open that waits", () => {
  test("keeps what is written and sends it behind its OPEN", () => {
    const lone = new LoneSession({ attached: false });
    const { stream } = lone.open();
    stream.write(bytes("0102"));
    stream.end();
    expect(lone.sent()).toBe("");
    lone.attach(0);
    expect(lone.sent()).toBe("OPEN 1, DATA 1 @0 0102, END 1 2");
  });

  test("leaves no trace when it is given up before it left", () => {
    const lone = new LoneSession({ attached: false });
    const first = lone.open();
    const second = lone.open();
    first.stream.write(bytes("0102"));
    first.stream.reset("cancelled");
    expect(lone.session.streams).toBe(1);
    expect(lone.session.waitingOpens).toBe(1);
    lone.attach(0);
    expect(lone.sent()).toBe("OPEN 3");
    expect(first.handler.heard()).toBe("");
    expect(second.stream.id).toBe(3);
  });
});
