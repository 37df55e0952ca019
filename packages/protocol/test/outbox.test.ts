import { describe, expect, test } from "vitest";
import {
  decodeFrame,
  encodeAccept,
  encodeAck,
  encodeData,
  encodePing,
  encodePong,
  encodeWindow,
  isSequenced,
} from "../src/frame.ts";
import { replayCost } from "../src/replay-buffer.ts";
import { hex } from "./support/hex.ts";
import { describeFrame, LoneSession } from "./support/lone-session.ts";

const KiB = 1024;

/** Everything that leaves now, unsequenced frames included; PING tokens and long payloads shortened. */
function leaving(lone: LoneSession, most?: number): string {
  return lone
    .takeMessages(most)
    .map((message) => describeFrame(decodeFrame(message)).replace(/^PING \d+$/, "PING"))
    .join(", ");
}

describe("the order of sending", () => {
  test("ack, pong, ping; the session's queue; opens; windows; streams", () => {
    const lone = new LoneSession({ attached: false });
    lone.attach(0);
    lone.takeMessages();
    const taker = lone.open();
    lone.takeMessages();
    lone.give(encodeAccept(1));
    // In the opposite order of what is expected:
    taker.stream.write(new Uint8Array(3));
    lone.give(encodeData(1, 0, new Uint8Array(8192)));
    taker.stream.consumed(8192);
    lone.open();
    lone.session.note("hello");
    lone.session.requestTunnel("tcp://a:1", "");
    lone.session.suspect(lone.now);
    lone.give(encodePing(1), encodePing(2));
    lone.now = 25;
    expect(leaving(lone)).toBe(
      "ACK 2, PONG 2, PING, NOTE hello, tunnelOpen 1 tcp://a:1, OPEN 3, WINDOW 1 270336, DATA 1 @0 000000",
    );
  });

  test("a PING goes first on a new transport, and then what is to be replayed, in order", () => {
    const lone = new LoneSession();
    const { stream } = lone.open();
    stream.write(Uint8Array.of(1));
    lone.takeMessages();
    stream.write(Uint8Array.of(2));
    lone.takeMessages();
    lone.detach();
    lone.session.note("waits");
    stream.write(Uint8Array.of(3));
    lone.attach(1);
    expect(leaving(lone)).toBe("PING, DATA 1 @0 01, DATA 1 @1 02, NOTE waits, DATA 1 @2 03");
  });

  test("only the last of several pings is answered", () => {
    const lone = new LoneSession();
    lone.takeMessages();
    for (let i = 0; i < 1000; i += 1) lone.give(encodePing(i));
    expect(leaving(lone)).toBe("PONG 999");
    expect(leaving(lone)).toBe("");
  });

  test("at most one WINDOW a stream waits, and its value is that of the moment when it leaves", () => {
    const lone = new LoneSession();
    const { stream } = lone.open();
    lone.takeMessages();
    lone.give(encodeAccept(1));
    for (let i = 0; i < 4; i += 1) {
      lone.give(encodeData(1, i * 2048, new Uint8Array(2048)));
      stream.consumed(2048);
    }
    expect(leaving(lone)).toBe(`WINDOW 1 ${8192 + 256 * KiB}`);
  });

  test("streams take turns, and one that becomes active goes first", () => {
    const lone = new LoneSession({ options: { maxPayloadBytes: 1000 } });
    const [a, b, c] = [lone.open(), lone.open(), lone.open()];
    lone.takeMessages();
    lone.give(...[1, 3, 5].map((id) => encodeWindow(id, 1e6)));
    a.stream.write(new Uint8Array(5000));
    b.stream.write(new Uint8Array(5000));
    expect(leaving(lone, 4)).toMatch(/^DATA 1 .*DATA 3 .*DATA 1 .*DATA 3 /);
    c.stream.write(Uint8Array.of(7));
    expect(leaving(lone, 1)).toBe("DATA 5 @0 07");
  });

  test("reads of twice the payload leave as two full frames each, however many follow", () => {
    const lone = new LoneSession({ options: { maxPayloadBytes: 1000 } });
    const { stream } = lone.open();
    lone.takeMessages();
    lone.give(encodeWindow(1, 1e6));
    const lengths: number[] = [];
    for (let n = 0; n < 20; n += 1) {
      stream.write(new Uint8Array(2000));
      for (const frame of lone.takeFrames()) if (frame.type === "data") lengths.push(frame.payload.length);
    }
    expect(lengths).toEqual(new Array(40).fill(1000));
  });

  test("what the stream no longer counts was copied, and its memory may be used again", () => {
    const lone = new LoneSession({ options: { maxPayloadBytes: 3000 } });
    const { stream } = lone.open();
    const chunk = new Uint8Array(10_000).fill(1);
    stream.write(chunk);
    const message = lone.takeMessages().at(-1) as Uint8Array;
    expect(stream.writableBytes).toBe(10_000 - 8192);
    chunk.fill(9, 0, 8192);
    lone.give(encodeWindow(1, 1e6));
    const rest = lone.takeMessages().at(-1) as Uint8Array;
    expect(stream.writableBytes).toBe(0);
    chunk.fill(9);
    expect([message.slice(11), rest.slice(11)].every((bytes) => bytes.every((byte) => byte === 1))).toBe(
      true,
    );
    lone.detach();
    lone.attach(0);
    const again = lone.takeMessages().filter(isSequenced);
    expect(again.at(-1)).toEqual(rest);
    stream.write(new Uint8Array(100_000));
    stream.reset("cancelled");
    expect(stream.writableBytes).toBe(0);
  });
});

describe("numbers", () => {
  test("are given when a frame leaves, and the bytes never change afterwards", () => {
    const lone = new LoneSession();
    const { stream } = lone.open();
    stream.write(new Uint8Array(5000));
    stream.end();
    lone.session.note("n");
    const first = lone.takeMessages().filter(isSequenced);
    const copies = first.map((m) => hex(m));
    lone.detach();
    lone.attach(0);
    const again = lone.takeMessages().filter(isSequenced);
    expect(again.map((m) => hex(m))).toEqual(copies);
    expect(again.every((m, i) => m === first[i])).toBe(true);
    expect(lone.session.counters).toMatchObject({
      replayedFrames: first.length,
      replayedBytes: first.reduce((sum, m) => sum + m.length, 0),
    });
  });

  test("what was acknowledged, by ACK or by the handshake, is not sent again", () => {
    const lone = new LoneSession();
    for (let i = 0; i < 5; i += 1) lone.session.note(`${i}`);
    lone.takeMessages();
    lone.give(encodeAck(2));
    lone.detach();
    lone.attach(4);
    expect(leaving(lone)).toBe("PING, NOTE 4");
    lone.give(encodeAck(5));
    lone.detach();
    lone.attach(5);
    expect(leaving(lone)).toBe("PING");
  });

  test("what the handshake of a resume acknowledges is freed, and cannot be asked for again", () => {
    const lone = new LoneSession();
    for (let i = 0; i < 5; i += 1) lone.session.note(`${i}`);
    lone.takeMessages();
    lone.detach();
    lone.attach(4);
    expect(lone.session.counters.replayBytes).toBe(replayCost(2));
    lone.detach();
    expect([3, 4, 5, 6].map((n) => lone.session.canResume(n))).toEqual([false, true, true, false]);
  });

  test("nothing is numbered while detached", () => {
    const lone = new LoneSession();
    lone.takeMessages();
    lone.detach();
    lone.session.note("a");
    lone.open();
    expect(leaving(lone)).toBe("");
    expect(lone.session.counters.replayBytes).toBe(0);
    lone.attach(0);
    expect(leaving(lone)).toBe("PING, NOTE a, OPEN 1");
  });
});

describe("acks from the peer", () => {
  function with5(): LoneSession {
    const lone = new LoneSession();
    for (let i = 0; i < 5; i += 1) lone.session.note(`${i}`);
    lone.takeMessages();
    return lone;
  }

  test("free the memory of what they cover, and no more", () => {
    const lone = with5();
    const one = replayCost(2);
    expect(lone.session.counters).toMatchObject({ replayBytes: 5 * one, inFlightBytes: 5 * 2 });
    lone.give(encodeAck(3));
    expect(lone.session.counters).toMatchObject({ replayBytes: 2 * one, inFlightBytes: 2 * 2 });
  });

  test.each([[0], [3], [2], [3]])("again or backwards (%i after 3) mean nothing", (sequence) => {
    const lone = with5();
    lone.give(encodeAck(3), encodeAck(sequence));
    expect(lone.endedBecause).toBeUndefined();
    expect(lone.session.counters.replayBytes).toBe(2 * replayCost(2));
  });

  test.each([6, 2 ** 32, Number.MAX_SAFE_INTEGER])(
    "for what was never sent (%i of 5) are a violation",
    (sequence) => {
      const lone = with5();
      lone.give(encodeAck(sequence));
      expect(lone.endedBecause).toBe("bad_ack");
    },
  );

  test("for what was not yet sent again are a violation: the peer cannot have it from this transport", () => {
    const lone = with5();
    lone.detach();
    lone.attach(2);
    lone.takeMessages(2); // PING and frame 3
    lone.give(encodeAck(3));
    expect(lone.endedBecause).toBeUndefined();
    lone.give(encodeAck(4));
    expect(lone.endedBecause).toBe("bad_ack");
  });

  test("before anything was sent: 0 is fine, 1 is not", () => {
    const lone = new LoneSession();
    lone.give(encodeAck(0));
    expect(lone.endedBecause).toBeUndefined();
    lone.give(encodeAck(1));
    expect(lone.endedBecause).toBe("bad_ack");
  });
});

describe("a full replay buffer", () => {
  const LIMIT = 4096;
  const RESERVE = 2048;
  function full() {
    const lone = new LoneSession({ options: { replayLimitBytes: LIMIT, replayReserveBytes: RESERVE } });
    const { stream, handler } = lone.open();
    lone.takeMessages();
    lone.give(encodeAccept(1), encodeAck(1));
    stream.write(new Uint8Array(8000));
    lone.takeMessages();
    return { lone, stream, handler };
  }

  test("holds DATA and END back, within its limit", () => {
    const { lone, stream } = full();
    const held = lone.session.counters.replayBytes;
    expect(held).toBeLessThanOrEqual(LIMIT);
    expect(held).toBeGreaterThan(LIMIT - replayCost(1024 + 15) * 2);
    expect(stream.writableBytes).toBeGreaterThan(0);
    stream.end();
    expect(leaving(lone)).toBe("");
  });

  test("lets the session's frames and windows use the reserve, which is bounded too", () => {
    const lone = new LoneSession({ options: { replayLimitBytes: LIMIT, replayReserveBytes: RESERVE } });
    // The flight is as large as the limit here, so acks of an earlier transport must be missing instead.
    for (let i = 0; i < 100; i += 1) lone.session.note("x".repeat(100));
    const noted = lone.takeFrames().length;
    expect(noted).toBe(16);
    expect(lone.session.counters.replayBytes).toBeLessThanOrEqual(LIMIT + RESERVE);
  });

  test("drops nothing: all of it leaves with the acks", () => {
    const { lone, stream, handler } = full();
    stream.end();
    let number = 1 + 4; // OPEN and what fitted
    let sent = 8000 - stream.writableBytes;
    for (let i = 0; i < 50 && lone.session.streams > 0 && stream.writableBytes > 0; i += 1) {
      lone.give(encodeAck(number - 1));
      for (const frame of lone.takeFrames()) {
        number += 1;
        if (frame.type === "data") {
          expect(frame.offset).toBe(sent);
          sent += frame.payload.length;
        }
      }
      number = Math.max(number, 2);
    }
    expect(sent).toBe(8000);
    expect(handler.heard()).toBe("accept");
  });

  test("does not hold back ack, pong and ping", () => {
    const { lone } = full();
    lone.give(encodePing(7), encodeData(1, 0, new Uint8Array(10)));
    lone.session.suspect(0);
    lone.now = 100;
    expect(leaving(lone)).toBe("ACK 2, PONG 7, PING");
  });
});

describe("a full flight", () => {
  test("holds back sequenced frames of every kind, and nothing else", () => {
    const lone = new LoneSession();
    lone.takeMessages();
    const { stream } = lone.open();
    lone.takeMessages();
    lone.give(encodeAccept(1), encodeAck(1), encodeWindow(1, 1e9));
    stream.write(new Uint8Array(1_000_000));
    lone.takeMessages();
    const { inFlightBytes } = lone.session.counters;
    expect(inFlightBytes).toBeGreaterThanOrEqual(64 * KiB);
    // A quarter of the flight is one frame.
    expect(inFlightBytes).toBeLessThan(80 * KiB + 200);
    lone.session.note("n");
    lone.open();
    lone.give(encodePing(3));
    lone.now = 25;
    expect(leaving(lone)).toBe("ACK 2, PONG 3");
    lone.give(encodeAck(2));
    expect(leaving(lone, 2)).toBe("NOTE n, OPEN 3");
  });

  test("has frames of a quarter of it at the most, so that nobody waits long for one", () => {
    const lone = new LoneSession();
    const { stream } = lone.open();
    lone.takeMessages();
    lone.give(encodeAccept(1), encodeAck(1), encodeWindow(1, 1e9));
    stream.write(new Uint8Array(1_000_000));
    const lengths = lone.takeMessages().map((message) => message.length);
    expect(Math.max(...lengths)).toBeLessThan(16 * KiB + 20);
    // Twice in use and acknowledged at once: then the largest frames that were asked for.
    let last = 1 + lengths.length;
    let later: readonly number[] = lengths;
    for (let i = 0; i < 2; i += 1) {
      lone.give(encodeAck(last));
      later = lone.takeMessages().map((message) => message.length);
      last += later.length;
    }
    expect(Math.max(...later)).toBeGreaterThan(32 * KiB);
  });

  test("grows with the measured path", () => {
    const lone = new LoneSession();
    const [ping] = lone.takeMessages();
    const token = decodeFrame(ping as Uint8Array);
    lone.now = 100;
    lone.give(encodePong(token.type === "ping" ? token.token : 0));
    expect(lone.session.rttMs).toBe(100);
    const { stream } = lone.open();
    lone.takeMessages();
    lone.give(encodeAccept(1), encodeWindow(1, 1e9), encodeAck(1));
    stream.write(new Uint8Array(16e6));
    let last = 1;
    const flights: number[] = [];
    for (let i = 0; i < 4; i += 1) {
      last += lone.takeMessages().filter(isSequenced).length;
      flights.push(lone.session.counters.inFlightBytes / KiB);
      lone.now += 100;
      lone.give(encodeAck(last));
    }
    // Four times what the path took in a round trip, each round trip, as long as that rises.
    for (const [i, flight] of flights.entries()) {
      expect(flight).toBeGreaterThanOrEqual(64 * 4 ** i);
      expect(flight).toBeLessThan(64 * 4 ** i * 1.6);
    }
  });
});

describe("what does not fit", () => {
  // The driver takes frames in a callback of its event loop: an exception there ends the process.
  test("an open with a text too long fails where it is asked for, not in nextFrame", () => {
    const lone = new LoneSession();
    expect(() => lone.open({ kind: "tcp", target: "x".repeat(513) })).toThrow();
    expect(() => lone.takeMessages()).not.toThrow();
    expect(lone.open().stream.id).toBe(1); // and it uses up nothing
    expect(lone.session.streams).toBe(1);
  });

  // What a visitor says (a host name) or a user (a target) must not make an honest end break a rule.
  test.each([
    ["a host of an open", (lone: LoneSession) => lone.open({ kind: "tcp", host: "a\nb" })],
    ["a target of an open", (lone: LoneSession) => lone.open({ kind: "tcp", target: "tcp://\u202ea:1" })],
    ["a name of a tunnel", (lone: LoneSession) => lone.session.requestTunnel("tcp://a:1", "a\u0000")],
  ])("%s that the peer would take for a violation is refused here, and never sent", (_, ask) => {
    const lone = new LoneSession();
    expect(() => ask(lone)).toThrow();
    const peer = new LoneSession({ role: "server" });
    peer.give(...lone.takeMessages());
    expect(peer.endedBecause).toBeUndefined();
  });
});
