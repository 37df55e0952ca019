import { describe, expect, test } from "vitest";
import { CulvertError } from "../src/errors.ts";
import {
  decodeFrame,
  encodeAccept,
  encodeAck,
  encodeClose,
  encodeData,
  encodeEnd,
  encodeGoaway,
  encodeNote,
  encodeOpen,
  encodePing,
  encodePong,
  encodeTunnelClose,
  encodeTunnelClosed,
  encodeTunnelOpen,
  encodeTunnelReady,
} from "../src/frame.ts";
import { bytes, concat, pattern } from "./support/hex.ts";
import { LoneSession } from "./support/lone-session.ts";
import { RecordingHandler } from "./support/recording-handler.ts";

const tcp = { kind: "tcp" } as const;

describe("a transport", () => {
  test("is needed before anything leaves", () => {
    const lone = new LoneSession({ attached: false });
    lone.open();
    expect(lone.session.state).toBe("detached");
    expect(lone.takeMessages()).toEqual([]);
    lone.attach(0);
    expect(lone.session.state).toBe("attached");
    expect(lone.takeMessages()).toHaveLength(2);
  });

  test("that is not the attached one is not listened to", () => {
    const lone = new LoneSession({ role: "server" });
    for (const other of [0, 2, 99]) {
      lone.session.receive(other, encodeOpen(1, tcp), 0);
      lone.session.receive(other, bytes("ff00"), 0);
      lone.session.receive(other, new Uint8Array(0), 0);
      lone.session.receiveText(other);
      lone.session.heard(other, 0);
    }
    expect(lone.session.state).toBe("attached");
    expect(lone.session.received).toBe(0);
    expect(lone.takeEvents()).toEqual([]);
  });

  test("that was fenced off is not listened to, so its late frames are not counted twice", () => {
    const lone = new LoneSession({ role: "server" });
    const { handler } = lone.accept(1);
    lone.give(encodeData(1, 0, bytes("01")));
    const old = lone.transport;
    lone.detach();
    expect(lone.session.received).toBe(2);
    lone.session.receive(old, encodeData(1, 1, bytes("02")), 0);
    lone.attach(0);
    lone.session.receive(old, encodeData(1, 1, bytes("02")), 0);
    expect(lone.session.received).toBe(2);
    lone.give(encodeData(1, 1, bytes("02"))); // sent again, over the new one
    expect(lone.session.received).toBe(3);
    expect(handler.data).toEqual(bytes("0102"));
  });

  test("may take the place of another without a detach in between", () => {
    const lone = new LoneSession();
    lone.session.note("x");
    lone.takeMessages();
    lone.transport += 1;
    lone.attach(0);
    expect(lone.sent()).toBe("NOTE x");
  });

  test("that was detached twice, or never was, is simply detached", () => {
    const lone = new LoneSession({ attached: false });
    lone.session.detach(5);
    expect(lone.session.nextDeadline).toBe(120_000);
    lone.attach(0);
    lone.now = 10;
    lone.detach();
    lone.now = 20;
    lone.detach();
    expect(lone.session.nextDeadline).toBe(120_010);
  });
});

describe("what is counted as received", () => {
  test.each([
    ["every sequenced frame", encodeNote("x"), 1],
    ["an ignored one that is sequenced", bytes("80 00"), 1],
    ["an ignored one that is not", bytes("c0 00"), 0],
    ["PING", encodePing(1), 0],
    ["PONG", encodePong(1), 0],
    ["ACK", encodeAck(0), 0],
  ])("%s", (_, message, count) => {
    const lone = new LoneSession();
    lone.give(message);
    expect(lone.session.received).toBe(count);
  });

  test("is acknowledged after 25 ms, or at once after 128 frames", () => {
    const lone = new LoneSession();
    lone.takeMessages();
    lone.give(encodeNote("x"));
    expect(lone.session.nextDeadline).toBe(25);
    lone.now = 25;
    lone.session.handleDeadline(25);
    expect(lone.takeMessages().map(decodeFrame)).toEqual([{ type: "ack", sequence: 1 }]);
    lone.signals = 0;
    for (let i = 0; i < 128; i += 1) lone.give(encodeNote("x"));
    expect(lone.signals).toBe(1);
    expect(lone.takeMessages().map(decodeFrame)).toEqual([{ type: "ack", sequence: 129 }]);
  });

  test("is not acknowledged again when the handshake told it", () => {
    const lone = new LoneSession();
    lone.give(encodeNote("x"));
    lone.detach();
    lone.attach(0);
    lone.now = 1000;
    expect(lone.takeMessages().map((m) => decodeFrame(m).type)).toEqual(["ping"]);
  });
});

describe("the memory of a message", () => {
  test("may be freed by who gets the payload: it is counted all the same", () => {
    const lone = new LoneSession({
      role: "server",
      options: { initialWindowBytes: 200_000, firstWindowBytes: 262_144 },
    });
    const { handler } = lone.accept(1);
    lone.takeMessages();
    handler.onData = (chunk) => void (chunk.buffer as ArrayBuffer).transfer(0);
    const { received } = lone.session;
    for (let at = 0; at < 80_000; at += 40_000) lone.give(encodeData(1, at, new Uint8Array(40_000)));
    expect(lone.session.received).toBe(received + 2);
    // More than 64 KiB were processed: the ack is due now, not after a while.
    expect(lone.takeMessages().map((message) => decodeFrame(message).type)).toContain("ack");
  });

  test("that nobody gets is told to be free: what is held is a copy, and what is behind a reset is dropped", () => {
    const lone = new LoneSession({ role: "server" });
    const { stream, handler } = lone.accept(1);
    lone.give(encodeData(1, 0, bytes("01")));
    expect(handler.heard()).toBe("data 01");
    expect(lone.spent).toEqual([]);
    stream.reset("cancelled");
    lone.give(encodeData(1, 1, bytes("0203")));
    expect(lone.spent).toEqual([bytes("0203")]);
    lone.offer(3);
    lone.give(encodeData(3, 0, bytes("04")));
    expect(lone.spent).toEqual([bytes("0203"), bytes("04")]);
  });
});

describe("an open that is not answered", () => {
  test("because a dead transport swallowed it waits until that is found dead, and is answered after the resume", () => {
    const lone = new LoneSession();
    const { handler } = lone.open();
    lone.takeMessages();
    lone.advanceTo(25_000); // silent from the start: given up by then, at the defaults
    expect(lone.session.state).toBe("detached");
    expect(handler.heard()).toBe("");
    lone.attach(0);
    lone.give(encodeAccept(1));
    expect(handler.heard()).toBe("accept");
  });

  test("because the link fell silent behind it, too", () => {
    const lone = new LoneSession();
    const { handler } = lone.open();
    lone.takeMessages();
    lone.give(encodeAck(1));
    lone.advanceTo(24_999);
    expect([lone.session.state, handler.heard()]).toEqual(["attached", ""]);
  });

  test("because the link was dead, and found so only when the process woke up after the time was over", () => {
    const lone = new LoneSession();
    const { handler } = lone.open();
    lone.takeMessages();
    lone.give(encodeAck(1));
    lone.now = 32_000; // it was frozen
    lone.detach();
    lone.now = 33_000;
    lone.attach(1);
    lone.session.handleDeadline(33_000);
    expect(handler.heard()).toBe("");
    lone.give(encodeAccept(1));
    expect(handler.heard()).toBe("accept");
  });

  test("although the peer has it, and talks on, is given up in time", () => {
    const lone = new LoneSession();
    const { handler } = lone.open();
    lone.takeMessages();
    lone.give(encodeAck(1));
    for (let now = 5000; now <= 20_000; now += 5000) {
      lone.advanceTo(now - 1);
      lone.give(encodePing(now));
      lone.takeMessages();
    }
    expect(handler.heard()).toBe("");
    lone.advanceTo(20_001);
    expect(handler.heard()).toBe("reset open_timeout");
  });

  test("and not acknowledged either, is given up after three times the limit, whatever the link is like", () => {
    const lone = new LoneSession({
      options: { openTimeoutMs: 1000, stallMs: 1e6, silenceMs: 1e6, pingIntervalMs: 1e5 },
    });
    const { handler } = lone.open();
    lone.takeMessages();
    lone.advanceTo(2999);
    expect(handler.heard()).toBe("");
    lone.advanceTo(3001);
    expect(handler.heard()).toBe("reset open_timeout");
  });
});

describe("a resume", () => {
  function with5(): LoneSession {
    const lone = new LoneSession();
    for (let i = 1; i <= 5; i += 1) lone.session.note(`${i}`);
    lone.takeMessages();
    lone.give(encodeAck(2));
    lone.detach();
    return lone;
  }

  test.each([
    [2, "NOTE 3, NOTE 4, NOTE 5"],
    [3, "NOTE 4, NOTE 5"],
    [5, ""],
  ])("goes on behind %i", (received, sent) => {
    const lone = with5();
    expect(lone.session.canResume(received)).toBe(true);
    lone.attach(received);
    expect(lone.sent()).toBe(sent);
  });

  test.each([0, 1, 6, Number.MAX_SAFE_INTEGER])(
    "with a peer that says %i ends: the numbers do not meet",
    (received) => {
      const lone = with5();
      expect(lone.session.canResume(received)).toBe(false);
      lone.attach(received);
      expect(lone.endedBecause).toBe("replay_gap");
      expect(lone.farewell).toBeUndefined();
    },
  );

  test("cut off in the middle goes on where that transport got", () => {
    const lone = with5();
    lone.attach(2);
    lone.takeMessages(2); // PING, frame 3
    lone.detach();
    expect(lone.session.canResume(5)).toBe(true); // all of them had left over the first transport
    lone.attach(3);
    expect(lone.sent()).toBe("NOTE 4, NOTE 5");
    lone.session.note("6");
    expect(lone.sent()).toBe("NOTE 6");
  });

  test("of a session that is over cannot be", () => {
    const lone = with5();
    lone.session.close("closed");
    expect(lone.session.canResume(3)).toBe(false);
    lone.attach(3);
    expect(lone.session.state).toBe("ended");
    expect(lone.takeMessages()).toEqual([]);
  });

  test("between two sessions brings each byte once, wherever the cut falls", () => {
    for (let cut = 0; cut <= 12; cut += 1) {
      for (let lost = 0; lost <= cut; lost += 1) {
        const [client, server] = [new LoneSession(), new LoneSession({ role: "server" })];
        const { stream, handler } = client.open();
        for (let i = 0; i < 5; i += 1) {
          stream.write(pattern(10, i * 10));
          client.takeFrames(0);
        }
        const first = client.takeMessages(cut);
        server.give(...first.slice(0, first.length - lost));
        client.detach();
        server.detach();
        client.attach(server.session.received);
        server.attach(client.session.received);
        server.give(...client.takeMessages());
        const event = server.takeEvents().find((e) => e.type === "stream");
        if (event?.type !== "stream") throw new Error("no stream");
        const there = new RecordingHandler();
        event.incoming.accept(there).end();
        stream.end();
        for (let i = 0; i < 3; i += 1) {
          client.give(...server.takeMessages());
          server.give(...client.takeMessages());
        }
        expect(there.data).toEqual(pattern(50));
        expect(there.log.at(-1)).toBe("finished");
        expect(handler.heard()).toBe("accept, end, finished");
      }
    }
  });
});

describe("time", () => {
  test("the grace runs from the detach and ends the session", () => {
    const lone = new LoneSession();
    const { handler } = lone.open();
    lone.takeMessages();
    lone.advanceTo(5_000);
    lone.detach();
    expect(lone.session.nextDeadline).toBe(125_000);
    lone.advanceTo(124_999);
    expect(lone.endedBecause).toBeUndefined();
    lone.advanceTo(125_000);
    expect(lone.endedBecause).toBe("session_expired");
    expect(handler.heard()).toBe("reset session_expired");
    expect(lone.session.nextDeadline).toBe(Number.POSITIVE_INFINITY);
  });

  test("the grace begins anew with each detach", () => {
    const lone = new LoneSession({ options: { graceMs: 1000 } });
    lone.detach();
    lone.advanceTo(900);
    lone.attach(0);
    lone.takeMessages();
    lone.advanceTo(950);
    lone.detach();
    lone.advanceTo(1949);
    expect(lone.session.state).toBe("detached");
    lone.advanceTo(1950);
    expect(lone.endedBecause).toBe("session_expired");
  });

  test("a visitor waits 30 s for the link", () => {
    const lone = new LoneSession({ attached: false });
    lone.advanceTo(1_000);
    const first = lone.open();
    lone.advanceTo(2_000);
    const second = lone.open();
    lone.advanceTo(30_999);
    expect(first.handler.heard()).toBe("");
    lone.advanceTo(31_000);
    expect(first.handler.heard()).toBe("reset visitor_wait_timeout");
    expect(second.handler.heard()).toBe("");
    expect(lone.session.waitingOpens).toBe(1);
    lone.attach(0);
    expect(lone.sent()).toBe("OPEN 3");
  });

  test("a visitor also waits only 30 s for its turn while attached", () => {
    const lone = new LoneSession({ peerLimits: { maxStreams: 1 } });
    const first = lone.open();
    const second = lone.open();
    lone.takeMessages();
    lone.give(encodeAccept(1));
    for (let now = 5_000; now <= 30_000; now += 5_000) {
      lone.advanceTo(now);
      lone.give(encodePong(0));
    }
    expect(first.handler.heard()).toBe("accept");
    expect(second.handler.heard()).toBe("reset visitor_wait_timeout");
    expect(lone.session.streams).toBe(1);
  });

  test("an open has 20 s to be answered, the clock stands still while detached, and after a resume it has them once more", () => {
    const lone = new LoneSession();
    const { handler } = lone.open();
    lone.takeMessages();
    lone.give(encodeAck(1));
    lone.advanceTo(15_000);
    lone.detach();
    lone.advanceTo(100_000);
    lone.attach(1);
    lone.takeMessages();
    lone.advanceTo(104_999);
    expect(handler.heard()).toBe("");
    // The first link may have been dead for long before that was found: its answer comes with the second one.
    for (const now of [110_000, 115_000, 120_000]) {
      lone.advanceTo(now);
      lone.give(encodePing(now));
    }
    lone.advanceTo(124_999);
    expect(handler.heard()).toBe("");
    lone.now = 125_001;
    lone.session.handleDeadline(125_001);
    expect(handler.heard()).toBe("reset open_timeout");
    expect(lone.sent()).toContain("RESET 1 open_timeout");
  });

  test("an open that is answered in time has no deadline left", () => {
    const lone = new LoneSession({ options: { openTimeoutMs: 100 } });
    const answered = lone.open();
    const late = lone.open();
    lone.takeMessages();
    lone.give(encodeAccept(1), encodeAck(2));
    lone.advanceTo(99);
    expect(late.handler.heard()).toBe("");
    lone.advanceTo(100);
    expect([answered.handler.heard(), late.handler.heard()]).toEqual(["accept", "reset open_timeout"]);
  });

  test("an open that its owner gave up has no deadline left", () => {
    const lone = new LoneSession({ options: { openTimeoutMs: 100 } });
    const { stream, handler } = lone.open();
    lone.takeMessages();
    stream.reset("cancelled");
    expect(lone.session.nextDeadline).not.toBe(100);
    lone.advanceTo(200);
    expect(handler.heard()).toBe("");
  });

  test("a silent transport is given up, and the session waits for the next", () => {
    const lone = new LoneSession();
    lone.takeMessages();
    lone.advanceTo(24_999);
    expect(lone.session.state).toBe("attached");
    lone.advanceTo(25_000);
    expect(lone.session.state).toBe("detached");
    expect(lone.takeEvents()).toEqual([{ type: "transportFailed", code: "peer_silent" }]);
    expect(lone.session.nextDeadline).toBe(25_000 + 120_000);
  });

  test("a transport without acks is given up although bytes arrive", () => {
    const lone = new LoneSession();
    lone.session.note("x");
    lone.takeMessages();
    for (let now = 1_000; now <= 30_000 && lone.session.state === "attached"; now += 1_000) {
      lone.advanceTo(now);
      lone.session.heard(lone.transport, now);
    }
    expect(lone.takeEvents()).toEqual([{ type: "transportFailed", code: "transport_stalled" }]);
  });

  test("a transport whose acks come is kept, however long something is in flight", () => {
    const lone = new LoneSession();
    lone.session.note("0");
    lone.takeMessages();
    for (let i = 1; i <= 10; i += 1) {
      lone.advanceTo(i * 20_000);
      lone.session.note(`${i}`); // before the last is acknowledged: the flight is never empty
      lone.takeMessages();
      lone.give(encodeAck(i));
    }
    expect(lone.session.state).toBe("attached");
    expect(lone.session.counters.inFlightBytes).toBeGreaterThan(0);
  });

  test("whole messages count as life, and so do bytes of one that is not whole yet", () => {
    const lone = new LoneSession();
    for (let now = 20_000; now <= 200_000; now += 20_000) {
      lone.advanceTo(now);
      if (now % 40_000 === 0) lone.give(encodePong(0));
      else lone.session.heard(lone.transport, now);
    }
    expect(lone.session.state).toBe("attached");
    lone.advanceTo(225_000);
    expect(lone.session.state).toBe("detached");
  });

  test("pongs measure the round trip, and only those that were asked for", () => {
    const lone = new LoneSession();
    const [message] = lone.takeMessages();
    const ping = decodeFrame(message as Uint8Array);
    if (ping.type !== "ping") throw new Error("no PING first");
    lone.now = 40;
    lone.give(encodePong(ping.token + 1));
    expect(lone.session.rttMs).toBeUndefined();
    lone.give(encodePong(ping.token));
    expect([lone.session.rttMs, lone.session.minRttMs]).toEqual([40, 40]);
    lone.now = 90;
    lone.give(encodePong(ping.token));
    expect(lone.session.rttMs).toBe(40);
  });

  test("after a suspected sleep a PING leaves at once, and 5 s decide", () => {
    const lone = new LoneSession();
    lone.takeMessages();
    lone.advanceTo(1_000);
    lone.session.suspect(1_000);
    expect(lone.takeMessages().map((m) => decodeFrame(m).type)).toEqual(["ping"]);
    lone.advanceTo(6_000);
    expect(lone.session.state).toBe("detached");
  });

  test("a deadline that was handled is not asked for again, even when nothing can leave", () => {
    const lone = new LoneSession({ options: { openTimeoutMs: 60 } });
    lone.open();
    lone.takeMessages();
    lone.give(encodeNote("x")); // an ack will be due
    for (let i = 0; i < 50; i += 1) {
      const next = lone.session.nextDeadline;
      expect(next).toBeGreaterThan(lone.now);
      if (next === Number.POSITIVE_INFINITY) break;
      lone.now = next;
      lone.session.handleDeadline(next); // and the transport takes nothing
    }
    expect(lone.session.state).toBe("ended");
  });
});

describe("streams of the peer", () => {
  test("are events, with what the opener said", () => {
    const lone = new LoneSession({ role: "server" });
    const request = {
      kind: "tcp",
      target: "tcp://a:1",
      visitor: "tcp://b:2",
      host: "h",
      tunnelId: 3,
    } as const;
    const incoming = lone.offer(1, request);
    expect(incoming).toMatchObject({ id: 1, request });
  });

  test("of a kind that is unknown are refused without a question", () => {
    const lone = new LoneSession({ role: "server", options: { maxPendingOpens: 1 } });
    for (const id of [1, 3, 5]) lone.give(concat([encodeOpen(id, tcp).subarray(0, 7), bytes("09")]));
    expect(lone.sent()).toBe("REFUSE 1 not_accepted, REFUSE 3 not_accepted, REFUSE 5 not_accepted");
    expect(lone.takeEvents()).toEqual([]);
    expect(lone.endedBecause).toBeUndefined();
  });
});

describe("tunnels", () => {
  test("are asked for, made ready, closed", () => {
    const lone = new LoneSession();
    const id = lone.session.requestTunnel("tcp://0.0.0.0:0", "web");
    expect(lone.sent()).toBe("tunnelOpen 1 tcp://0.0.0.0:0");
    lone.give(encodeTunnelReady(id, "tcp://0.0.0.0:4711"));
    lone.session.closeTunnel(id);
    expect(lone.sent()).toBe("tunnelClose 1");
    lone.give(encodeTunnelClosed(id, "closed"));
    expect(lone.takeEvents()).toEqual([
      { type: "tunnelReady", tunnelId: 1, listen: "tcp://0.0.0.0:4711" },
      { type: "tunnelClosed", tunnelId: 1, code: "closed" },
    ]);
  });

  test("of the peer are events, answered by the owner", () => {
    const lone = new LoneSession({ role: "server" });
    lone.give(encodeTunnelOpen(1, "tcp://a:1", "web"));
    lone.session.tunnelReady(1, "tcp://a:1");
    lone.give(encodeTunnelClose(1));
    lone.session.tunnelClosed(1, "closed");
    lone.give(encodeTunnelClose(1));
    expect(lone.sent()).toBe("tunnelReady 1 tcp://a:1, tunnelClosed 1 closed");
    expect(lone.takeEvents()).toEqual([
      { type: "tunnelOpen", tunnelId: 1, listen: "tcp://a:1", name: "web" },
      { type: "tunnelClose", tunnelId: 1 },
    ]);
  });

  test("asked for while detached are asked for on the next transport", () => {
    const lone = new LoneSession({ attached: false });
    lone.session.requestTunnel("tcp://a:1", "");
    lone.attach(0);
    expect(lone.sent()).toBe("tunnelOpen 1 tcp://a:1");
  });
});

describe("notes", () => {
  test("are events", () => {
    const lone = new LoneSession();
    lone.give(encodeNote("hello"));
    expect(lone.takeEvents()).toEqual([{ type: "note", text: "hello" }]);
  });

  test("wait sixteen at most, and more can follow when those have left", () => {
    const lone = new LoneSession({ attached: false });
    for (let i = 0; i < 100; i += 1) lone.session.note(`${i}`);
    lone.attach(0);
    expect(lone.takeFrames()).toHaveLength(16);
    lone.session.note("again");
    expect(lone.sent()).toBe("NOTE again");
  });
});

describe("draining", () => {
  test("refuses what the peer opens, gives up what waits, and leaves the rest alone", () => {
    const lone = new LoneSession({ peerLimits: { maxStreams: 1 } });
    const open = lone.open();
    const waiting = lone.open();
    lone.takeMessages();
    lone.give(encodeAccept(1));
    lone.session.drain("shutting_down");
    expect(waiting.handler.heard()).toBe("reset draining");
    expect(() => lone.open()).toThrow(expect.objectContaining({ code: "draining" }));
    lone.give(encodeOpen(2, tcp), encodeData(2, 0, bytes("01")), encodeData(1, 0, bytes("02")));
    expect(lone.sent()).toBe("GOAWAY shutting_down, REFUSE 2 draining");
    expect(open.handler.heard()).toBe("accept, data 02");
    expect(lone.takeEvents()).toEqual([]);
    expect(lone.session.isDraining).toBe(true);
  });

  test("is announced once, and goes on over a resume", () => {
    const lone = new LoneSession();
    lone.session.drain("shutting_down");
    lone.session.drain("closed");
    lone.takeMessages();
    lone.detach();
    lone.attach(0);
    expect(lone.sent()).toBe("GOAWAY shutting_down");
    lone.give(encodeOpen(2, tcp));
    expect(lone.sent()).toBe("REFUSE 2 draining");
  });

  test("of the peer stops new streams here, and a second GOAWAY changes nothing", () => {
    const lone = new LoneSession({ peerLimits: { maxStreams: 1 } });
    const open = lone.open();
    const waiting = lone.open();
    lone.takeMessages();
    lone.give(encodeGoaway("shutting_down"), encodeGoaway("shutting_down"), encodeAccept(1));
    expect(waiting.handler.heard()).toBe("reset draining");
    expect(open.handler.heard()).toBe("accept");
    expect(() => lone.open()).toThrow(expect.objectContaining({ code: "draining" }));
    expect(lone.endedBecause).toBeUndefined();
  });

  test("of both sides meets in the middle", () => {
    const lone = new LoneSession();
    lone.give(encodeGoaway("shutting_down"));
    lone.session.drain("closed");
    lone.give(encodeOpen(2, tcp));
    expect(lone.sent()).toBe("GOAWAY closed, REFUSE 2 draining");
  });
});

describe("the end", () => {
  test("by close tells the peer when attached, and resets every stream", () => {
    const lone = new LoneSession();
    const { handler } = lone.open();
    lone.takeMessages();
    lone.session.close("closed");
    expect(handler.heard()).toBe("reset closed");
    expect(lone.farewell).toBe("0e0000");
    expect(lone.takeEvents()).toMatchObject([{ type: "ended", by: "local", error: { code: "closed" } }]);
    expect(lone.session).toMatchObject({ state: "ended", streams: 0, waitingOpens: 0 });
    expect(lone.takeMessages()).toEqual([]);
  });

  test("by close while detached has nobody to tell", () => {
    const lone = new LoneSession();
    lone.detach();
    lone.session.close("closed");
    expect(lone.endedBecause).toBe("closed");
    expect(lone.farewell).toBeUndefined();
  });

  test("by the peer's CLOSE says why, and is not answered", () => {
    const lone = new LoneSession();
    const { handler } = lone.open();
    lone.give(encodeClose("displaced"));
    expect(handler.heard()).toBe("reset displaced");
    expect(lone.takeEvents()).toMatchObject([
      { type: "ended", by: "peer", error: { code: "displaced" }, farewell: undefined },
    ]);
  });

  test("by fail keeps the error with its cause", () => {
    const lone = new LoneSession();
    const error = new CulvertError("session_lost", "restarted");
    lone.session.fail(error);
    expect(lone.takeEvents()).toMatchObject([{ type: "ended", by: "local", farewell: undefined }]);
    expect(lone.endedBecause).toBeUndefined(); // taken above
  });

  test("comes once, and everything afterwards does nothing", () => {
    const lone = new LoneSession();
    const { stream, handler } = lone.open();
    const incoming = lone.offer(2);
    lone.takeMessages();
    lone.session.close("closed");
    lone.takeEvents();
    handler.heard();
    lone.session.close("internal_error");
    lone.session.fail(new CulvertError("internal_error"));
    lone.session.drain("closed");
    lone.session.note("x");
    lone.session.closeTunnel(1);
    lone.session.tunnelReady(1, "x");
    lone.session.tunnelClosed(1, "closed");
    lone.session.detach(1);
    lone.session.suspect(1);
    lone.session.handleDeadline(1e9);
    lone.session.receive(1, bytes("ff"), 1);
    lone.session.receiveText(1);
    lone.session.attach(2, 0, 1);
    stream.write(bytes("01"));
    stream.end();
    stream.consumed(1);
    stream.reset("cancelled");
    incoming.refuse("target_refused");
    incoming.accept(new RecordingHandler());
    expect(lone.takeEvents()).toEqual([]);
    expect(lone.takeMessages()).toEqual([]);
    expect(handler.heard()).toBe("");
    expect(() => lone.open()).toThrow(expect.objectContaining({ code: "closed" }));
    expect(() => lone.session.requestTunnel("tcp://a:1", "")).toThrow(
      expect.objectContaining({ code: "closed" }),
    );
  });

  test("tells the question that is not answered yet, and the open that has not left", () => {
    const lone = new LoneSession({ peerLimits: { maxStreams: 1 } });
    const incoming = lone.offer(2);
    let cancelled = 0;
    incoming.onCancelled = () => {
      cancelled += 1;
    };
    const [asked, waiting] = [lone.open(), lone.open()];
    lone.takeMessages();
    lone.session.close("closed");
    expect(cancelled).toBe(1);
    incoming.onCancelled = () => {
      cancelled += 1;
    };
    expect(cancelled).toBe(2); // who asks too late is told at once
    expect([asked.handler.heard(), waiting.handler.heard()]).toEqual(["reset closed", "reset closed"]);
  });

  test("delivers what had arrived whole, with its end, and says what is missing otherwise", () => {
    const lone = new LoneSession({ role: "server" });
    const whole = lone.accept(1);
    const part = lone.accept(3);
    const held = lone.offer(5);
    lone.give(encodeData(1, 0, bytes("01")), encodeEnd(1, 1), encodeData(3, 0, bytes("02")));
    lone.give(encodeData(5, 0, bytes("03")), encodeEnd(5, 1));
    const late = new RecordingHandler();
    held.accept(late);
    lone.session.close("closed");
    expect(whole.handler.heard()).toBe("data 01, end, reset closed after all");
    expect(part.handler.heard()).toBe("data 02, reset closed");
    expect(late.heard()).toBe("data 03, end, reset closed after all");
  });

  test("may be brought about from inside any callback", () => {
    for (const callback of ["onAccept", "onData", "onEnd", "onReset"] as const) {
      const lone = new LoneSession();
      const handler = new RecordingHandler();
      handler[callback] = () => lone.session.close("aborted");
      lone.session.open(tcp, handler, 0);
      const other = lone.open();
      lone.takeMessages();
      lone.give(
        encodeAccept(1),
        encodeData(1, 0, bytes("01")),
        encodeEnd(1, 1),
        bytes("06 000000000001 000d"),
      );
      expect(lone.endedBecause, callback).toBe("aborted");
      expect(other.handler.heard()).toBe("reset aborted");
    }
  });
});

describe("the driver is told that something may leave", () => {
  test("once, until it has asked", () => {
    const lone = new LoneSession();
    lone.takeMessages();
    lone.signals = 0;
    lone.session.note("1");
    lone.session.note("2");
    lone.open();
    expect(lone.signals).toBe(1);
    lone.takeMessages();
    lone.session.note("3");
    expect(lone.signals).toBe(2);
  });

  test.each<[string, (lone: LoneSession) => void]>([
    ["a write", (lone) => lone.accept(2).stream.write(bytes("01"))],
    ["a PING", (lone) => lone.give(encodePing(1))],
    ["an ACK, which may make room", (lone) => lone.give(encodeAck(0))],
    ["a tunnel", (lone) => lone.session.requestTunnel("tcp://a:1", "")],
    ["a drain", (lone) => lone.session.drain("closed")],
    ["a transport", (lone) => lone.attach(0)],
    ["a deadline", (lone) => lone.session.handleDeadline(1)],
    ["a suspected sleep", (lone) => lone.session.suspect(1)],
  ])("by %s", (_, cause) => {
    const lone = new LoneSession();
    lone.takeMessages();
    lone.signals = 0;
    cause(lone);
    expect(lone.signals).toBeGreaterThan(0);
  });
});
