import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ERRORS, type ErrorCode } from "../src/errors.ts";
import {
  encodeAccept,
  encodeAck,
  encodeData,
  encodeEnd,
  encodeGoaway,
  encodeNote,
  encodeOpen,
  encodePing,
  encodePong,
  encodeRefuse,
  encodeRelease,
  encodeReset,
  encodeTunnelClose,
  encodeTunnelClosed,
  encodeTunnelOpen,
  encodeTunnelReady,
  encodeWindow,
} from "../src/frame.ts";
import { anyMessage } from "./support/arbitrary-frame.ts";
import { bytes, concat } from "./support/hex.ts";
import { LoneSession } from "./support/lone-session.ts";
import { holds } from "./support/property.ts";

const tcp = { kind: "tcp" } as const;
const text = (s: string) => new TextEncoder().encode(s);

/**
 * A server in the middle of its life: streams 1 (open) and 3 (asked) of the peer, 2 (open), 4 (asked) and 6 (waiting) of
 * its own, 5 and 8 forgotten; tunnel 1 of the peer, tunnel 1 of its own (ready). Three frames of it are acknowledged.
 */
function busy(): LoneSession {
  const lone = new LoneSession({ role: "server", peerLimits: { maxPendingOpens: 1 } });
  lone.accept(1);
  lone.offer(3);
  lone.accept(5).stream.end();
  lone.give(encodeEnd(5, 0));
  lone.open();
  lone.takeMessages();
  lone.give(encodeAccept(2));
  lone.open();
  lone.takeMessages();
  lone.open();
  lone.give(encodeTunnelOpen(1, "tcp://a:1", "web"));
  lone.session.requestTunnel("tcp://b:0", "");
  lone.give(encodeTunnelReady(1, "tcp://b:80"));
  lone.give(encodeAck(3));
  lone.takeMessages();
  lone.takeEvents();
  return lone;
}

describe("each of these ends the session, with this code and a CLOSE that says it", () => {
  test.each<[string, Uint8Array | Uint8Array[], ErrorCode]>([
    // B1
    ["an empty message", new Uint8Array(0), "bad_frame"],
    ["a message shorter than its head", bytes("04 0000"), "bad_frame"],
    // B4
    ["a second HELLO", concat([bytes("40"), text("{}")]), "unexpected_frame"],
    ["a WELCOME", concat([bytes("41"), text("{}")]), "unexpected_frame"],
    ["a REJECT", concat([bytes("42"), text("{}")]), "unexpected_frame"],
    // B9
    ["an unknown sequenced type", bytes("10"), "unknown_frame"],
    ["an unknown unsequenced type", bytes("47 00"), "unknown_frame"],
    ["a datagram, which version 1 does not have", bytes("46 00"), "unknown_frame"],
    // B12
    ["trailing bytes", concat([encodeEnd(1, 0), bytes("00")]), "bad_frame"],
    // B13
    ["DATA of 65,537 bytes", encodeData(1, 0, new Uint8Array(65_537)), "frame_too_large"],
    // B15, B16
    ["DATA on stream 0", encodeData(0, 0, bytes("00")), "unknown_stream"],
    ["DATA on the peer's next id", encodeData(7, 0, bytes("00")), "unknown_stream"],
    ["DATA on an id of ours that was never opened", encodeData(10, 0, bytes("00")), "unknown_stream"],
    ["DATA on our stream whose OPEN waits", encodeData(6, 0, bytes("00")), "unknown_stream"],
    ["DATA on a forgotten stream", encodeData(5, 0, bytes("00")), "unknown_stream"],
    ["END on a forgotten stream", encodeEnd(5, 0), "unknown_stream"],
    ["END on an id that was left out", [encodeOpen(11, tcp), encodeEnd(9, 0)], "unknown_stream"],
    // B18
    ["DATA after END", [encodeEnd(1, 0), encodeData(1, 0, bytes("00"))], "unexpected_frame"],
    ["DATA without payload after END", [encodeEnd(1, 0), encodeData(1, 0, bytes(""))], "unexpected_frame"],
    ["END after END", [encodeEnd(1, 0), encodeEnd(1, 0)], "unexpected_frame"],
    ["DATA after RESET", [encodeReset(1, "closed"), encodeData(1, 0, bytes("00"))], "unexpected_frame"],
    ["END after RESET", [encodeReset(1, "closed"), encodeEnd(1, 0)], "unexpected_frame"],
    // B19
    ["OPEN with our parity", encodeOpen(12, tcp), "bad_stream_id"],
    ["OPEN with id 0", encodeOpen(0, tcp), "bad_stream_id"],
    ["OPEN with the id of an open stream", encodeOpen(3, tcp), "bad_stream_id"],
    ["OPEN with the id of a forgotten stream", encodeOpen(5, tcp), "bad_stream_id"],
    ["OPEN with a lower id", [encodeOpen(11, tcp), encodeOpen(9, tcp)], "bad_stream_id"],
    // B27
    ["ACCEPT for an answered stream", encodeAccept(2), "unexpected_frame"],
    ["ACCEPT for the peer's own stream", encodeAccept(1), "unexpected_frame"],
    ["ACCEPT for a stream that waits", encodeAccept(6), "unknown_stream"],
    ["ACCEPT for a stream that never was", encodeAccept(100), "unknown_stream"],
    ["REFUSE for an answered stream", encodeRefuse(2, "forbidden"), "unexpected_frame"],
    ["REFUSE for the peer's own stream", encodeRefuse(3, "forbidden"), "unexpected_frame"],
    ["REFUSE for a forgotten stream", encodeRefuse(5, "forbidden"), "unknown_stream"],
    ["DATA before ACCEPT", encodeData(4, 0, bytes("00")), "unexpected_frame"],
    ["END before ACCEPT", encodeEnd(4, 0), "unexpected_frame"],
    // B28
    ["WINDOW that shrinks", encodeWindow(1, 8191), "bad_window"],
    ["WINDOW of 0", encodeWindow(1, 0), "bad_window"],
    ["WINDOW of 2^53", bytes("07 000000000001 0020000000000000"), "bad_frame"],
    ["WINDOW for a stream that never was", encodeWindow(7, 10_000), "unknown_stream"],
    ["WINDOW for a stream that waits", encodeWindow(6, 10_000), "unknown_stream"],
    ["WINDOW for stream 0", encodeWindow(0, 10_000), "unknown_stream"],
    ["RELEASE of more than was granted", encodeRelease(1, 8193), "bad_window"],
    ["RELEASE for a stream that never was", encodeRelease(7, 8192), "unknown_stream"],
    ["RELEASE for a forgotten stream", encodeRelease(5, 8192), "unknown_stream"],
    ["RELEASE before ACCEPT", encodeRelease(4, 8192), "unexpected_frame"],
    ["RESET for a stream that never was", encodeReset(7, "closed"), "unknown_stream"],
    ["RESET for a stream that waits", encodeReset(6, "closed"), "unknown_stream"],
    // B29
    ["DATA over the window by a byte", encodeData(1, 0, new Uint8Array(8193)), "window_exceeded"],
    ["DATA over the window by far", encodeData(1, 0, new Uint8Array(65_536)), "window_exceeded"],
    [
      "DATA over the window of a stream that nobody answered",
      [encodeData(3, 0, new Uint8Array(8192)), encodeData(3, 8192, bytes("00"))],
      "window_exceeded",
    ],
    // B30
    ["ACK beyond what was sent", encodeAck(1000), "bad_ack"],
    ["ACK of 2^53 - 1", encodeAck(Number.MAX_SAFE_INTEGER), "bad_ack"],
    // B31
    ["DATA with a wrong offset", encodeData(1, 1, bytes("00")), "offset_mismatch"],
    ["END with a wrong total", encodeEnd(1, 1), "offset_mismatch"],
    // B34
    ["PING with a long token", bytes("43 0000000000"), "bad_frame"],
    // B36, B38
    ["TUNNEL_OPEN with a used id", encodeTunnelOpen(1, "tcp://a:2", ""), "unexpected_frame"],
    ["TUNNEL_OPEN with id 0", encodeTunnelOpen(0, "tcp://a:2", ""), "unexpected_frame"],
    ["TUNNEL_READY again", encodeTunnelReady(1, "tcp://b:80"), "unexpected_frame"],
    ["TUNNEL_READY for a tunnel that never was", encodeTunnelReady(2, "tcp://b:80"), "unexpected_frame"],
    ["TUNNEL_CLOSE for a tunnel that never was", encodeTunnelClose(2), "unexpected_frame"],
    ["TUNNEL_CLOSED for a tunnel that never was", encodeTunnelClosed(2, "closed"), "unexpected_frame"],
    [
      "TUNNEL_CLOSED again",
      [encodeTunnelClosed(1, "closed"), encodeTunnelClosed(1, "closed")],
      "unexpected_frame",
    ],
  ])("%s", (_, messages, code) => {
    const lone = busy();
    const all = Array.isArray(messages) ? messages : [messages];
    lone.give(...all.slice(0, -1));
    expect(lone.endedBecause).toBeUndefined();
    lone.give(all.at(-1) as Uint8Array);
    expect(lone.endedBecause).toBe(code);
    expect(lone.farewell).toBe(`0e00${ERRORS[code].wire.toString(16)}`);
    expect(lone.session.state).toBe("ended");
    expect(lone.session.streams).toBe(0);
    expect(lone.takeMessages()).toEqual([]);
  });

  test("a text message", () => {
    const lone = busy();
    lone.session.receiveText(lone.transport);
    expect(lone.takeEvents()).toMatchObject([
      { type: "ended", by: "local", error: { code: "text_message" }, farewell: bytes("0e0043") },
    ]);
  });

  test("10,000 tunnels", () => {
    const lone = busy();
    for (let id = 2; id <= 10_000; id += 1) lone.give(encodeTunnelOpen(id, "tcp://a:0", ""));
    expect(lone.endedBecause).toBe("limit_exceeded");
  });

  test("a violation on a stream resets all others, and its owner as well", () => {
    const lone = new LoneSession({ role: "server" });
    const [one, two] = [lone.accept(1), lone.accept(3)];
    lone.give(encodeData(1, 7, bytes("00")));
    expect([one.handler.heard(), two.handler.heard()]).toEqual([
      "reset offset_mismatch",
      "reset offset_mismatch",
    ]);
  });
});

describe("each of these is legal, though odd, and changes nothing", () => {
  test.each<[string, Uint8Array[]]>([
    // B10
    ["unknown types that may be ignored", [bytes("80"), bytes("bf 01"), bytes("c0"), bytes("ff 01")]],
    // B14
    ["DATA without payload", [encodeData(1, 0, bytes("")), encodeData(3, 0, bytes(""))]],
    // B28
    ["WINDOW without gain", [encodeWindow(1, 8192), encodeWindow(1, 8192)]],
    ["WINDOW before ACCEPT", [encodeWindow(4, 100_000)]],
    ["WINDOW for a stream that is not answered yet", [encodeWindow(3, 100_000)]],
    ["WINDOW for a forgotten stream, of any value", [encodeWindow(5, 0), encodeWindow(5, 1e9)]],
    ["RELEASE of nothing, and of what was long ago", [encodeRelease(1, 8192), encodeRelease(1, 0)]],
    ["RESET for a forgotten stream, again and again", [encodeReset(5, "closed"), encodeReset(5, "closed")]],
    // B30
    ["ACK again and backwards", [encodeAck(3), encodeAck(0), encodeAck(2)]],
    // B35
    ["PONG that nobody asked for", [encodePong(12_345), encodePong(0)]],
    // B36
    ["a tunnel id that leaves others out", [encodeTunnelOpen(9, "tcp://a:2", "")]],
    // B42
    ["GOAWAY twice", [encodeGoaway("shutting_down"), encodeGoaway("closed")]],
    ["codes of the future", [bytes("0d 7fff"), bytes("06 000000000003 7fff")]],
    ["an empty NOTE", [encodeNote("")]],
  ])("%s", (_, messages) => {
    const lone = busy();
    const before = lone.session.received;
    lone.give(...messages);
    expect(lone.endedBecause).toBeUndefined();
    expect(lone.session.state).toBe("attached");
    expect(lone.session.received).toBe(
      before + messages.filter((m) => ((m[0] as number) & 0x40) === 0).length,
    );
    // The session goes on as if nothing had been.
    lone.give(encodeData(1, 0, bytes("0a")));
    expect(lone.endedBecause).toBeUndefined();
  });

  // B17
  test("DATA, and then END, on a stream that this side has reset", () => {
    const lone = new LoneSession({ role: "server" });
    const { stream, handler } = lone.accept(1);
    stream.reset("cancelled");
    lone.takeMessages();
    lone.give(encodeData(1, 0, bytes("0102")), encodeEnd(1, 2));
    expect(lone.endedBecause).toBeUndefined();
    expect(handler.heard()).toBe("");
    expect(lone.session.streams).toBe(0);
  });

  test("TUNNEL_CLOSE for a tunnel that is over", () => {
    const lone = busy();
    lone.session.tunnelClosed(1, "listener_failed");
    lone.takeMessages();
    lone.give(encodeTunnelClose(1), encodeTunnelClose(1));
    expect(lone.endedBecause).toBeUndefined();
    expect(lone.takeEvents()).toEqual([]);
  });

  test("frames after GOAWAY: streams go on, and an OPEN of whoever said it is still answered", () => {
    const lone = busy();
    lone.give(encodeGoaway("shutting_down"), encodeData(1, 0, bytes("01")), encodeOpen(7, tcp));
    expect(lone.endedBecause).toBeUndefined();
  });

  test("a thousand PINGs and ten thousand WINDOWs cost one PONG", () => {
    const lone = busy();
    for (let i = 0; i < 1000; i += 1) lone.give(encodePing(i));
    for (let i = 0; i < 10_000; i += 1) lone.give(encodeWindow(1, 8193 + i));
    const messages = lone.takeMessages();
    expect(messages.filter((m) => m[0] === 0x44)).toEqual([encodePong(999)]);
    expect(messages.length).toBeLessThan(10);
  });
});

describe("useless frames", () => {
  test("data is none of them although its reader has given its memory back", () => {
    const lone = new LoneSession({ role: "server", options: { maxGlitchesPerMinute: 1 } });
    const { handler } = lone.accept(1);
    handler.onData = (chunk) => void (chunk.buffer as ArrayBuffer).transfer();
    for (let i = 0; i < 5; i += 1) lone.give(encodeData(1, i, new Uint8Array(1)));
    expect(lone.endedBecause).toBeUndefined();
  });

  const KINDS: readonly (readonly [what: string, frame: () => Uint8Array])[] = [
    ["PINGs that cannot be answered so fast", () => encodePing(7)],
    ["data without a byte", () => encodeData(1, 0, new Uint8Array(0))],
    ["acks that say nothing new", () => encodeAck(0)],
    ["windows that say nothing new", () => encodeWindow(1, 8192)],
    ["releases that say nothing new", () => encodeRelease(1, 8192)],
    ["PONGs that nobody asked for", () => encodePong(0xffff_ffff)],
    ["frames of an ignorable type", () => Uint8Array.of(0xc9)],
  ];

  test.each(KINDS)("%s: a thousand a minute are taken, and one more ends the session", (_what, frame) => {
    const lone = busy();
    lone.takeMessages();
    // The first PING waits for its answer and is none of them.
    lone.give(encodePing(1));
    for (let minute = 0; minute < 3; minute += 1) {
      for (let i = 0; i < 1000; i += 1) lone.give(frame());
      expect(lone.session.state).toBe("attached");
      lone.now += 60_000;
    }
    for (let i = 0; i < 1000; i += 1) lone.give(frame());
    expect(lone.session.state).toBe("attached");
    lone.give(frame());
    expect(lone.session.state).toBe("ended");
    expect(lone.events.at(-1)).toMatchObject({ type: "ended", error: { code: "too_many_glitches" } });
  });

  test("pings that are answered in between are none", () => {
    const lone = busy();
    for (let i = 0; i < 5000; i += 1) {
      lone.give(encodePing(i));
      lone.takeMessages();
    }
    expect(lone.session.state).toBe("attached");
  });
});

describe("any messages whatever", () => {
  test("end the session with a violation or are taken, and nothing is thrown", () => {
    const ids = [0, 1, 2, 3, 4, 5, 6, 7, 8];
    const aimed = fc.oneof(
      fc
        .constantFrom(...ids)
        .chain((id) =>
          fc.constantFrom(
            encodeOpen(id, tcp),
            encodeAccept(id),
            encodeRefuse(id, "forbidden"),
            encodeData(id, 0, bytes("01")),
            encodeData(id, 1, bytes("02")),
            encodeEnd(id, 0),
            encodeEnd(id, 1),
            encodeReset(id, "closed"),
            encodeWindow(id, 9000),
            encodeTunnelOpen(id, "tcp://a:1", ""),
            encodeTunnelReady(id, "tcp://a:1"),
            encodeTunnelClose(id),
            encodeTunnelClosed(id, "closed"),
            encodeAck(id),
          ),
        ),
      anyMessage,
    );
    const step = fc.record({
      message: aimed,
      next: fc.constantFrom("nothing", "take", "answer", "resume", "open", "later"),
    });
    holds(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const lone = busy();
        for (const { message, next } of steps) {
          lone.give(message);
          if (lone.endedBecause !== undefined) break;
          if (next === "take") lone.takeFrames();
          else if (next === "open" && !lone.session.isDraining) lone.open().stream.write(bytes("0102"));
          else if (next === "later") lone.advanceTo(lone.now + 1000);
          else if (next === "answer") {
            for (const event of lone.takeEvents()) {
              if (event.type === "stream") event.incoming.refuse("forbidden");
              if (event.type === "tunnelClose") lone.session.tunnelClosed(event.tunnelId, "closed");
            }
          } else if (next === "resume") {
            lone.detach();
            lone.attach(3);
          }
          if (lone.session.state !== "attached") break;
        }
        const code = lone.endedBecause;
        if (code === undefined) return;
        const { wire } = ERRORS[code];
        // A violation (64 to 95), the numbers of a resume that do not meet, or whatever a CLOSE said.
        const byPeer = lone.events.some((e) => e.type === "ended" && e.by === "peer");
        expect(byPeer || (wire >= 64 && wire <= 95) || code === "replay_gap").toBe(true);
        expect(lone.session.streams).toBe(0);
        expect(lone.session.counters).toMatchObject({ replayBytes: 0 });
      }),
      2_000,
    );
  });
});
