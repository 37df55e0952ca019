import { beforeEach, describe, expect, test } from "vitest";
import { decodeFrame } from "../src/frame.ts";
import { TunnelTable } from "../src/tunnel-table.ts";
import { describeFrame } from "./support/lone-session.ts";

let queued: { frame: string; onNumbered: (() => void) | undefined }[];
let table: TunnelTable;

beforeEach(() => {
  queued = [];
  table = new TunnelTable(
    (frame, onNumbered) => queued.push({ frame: describeFrame(decodeFrame(frame)), onNumbered }),
    { forPeer: 2, forUs: 2 },
  );
});

/** Everything that waits is handed to a transport. */
function leave(): string[] {
  return queued.splice(0).map(({ frame, onNumbered }) => {
    onNumbered?.();
    return frame;
  });
}

const violation = (code: string) => expect.objectContaining({ name: "ProtocolError", code });

describe("as the side that asks", () => {
  test("ids go up from 1 and are never used again", () => {
    expect(table.request("tcp://a:0", "a")).toBe(1);
    table.close(1);
    table.receiveClosed(1);
    expect(table.request("tcp://b:0", "b")).toBe(2);
    expect(leave()).toEqual(["tunnelOpen 1 tcp://a:0", "tunnelClose 1", "tunnelOpen 2 tcp://b:0"]);
  });

  test("keeps to the peer's limit, and counts until TUNNEL_CLOSED is there", () => {
    table.request("a", "");
    table.request("b", "");
    expect(() => table.request("c", "")).toThrow(expect.objectContaining({ code: "tunnel_limit" }));
    table.close(1);
    expect(() => table.request("c", "")).toThrow(expect.objectContaining({ code: "tunnel_limit" }));
    table.receiveClosed(1);
    expect(table.request("c", "")).toBe(3);
  });

  test("an address that does not fit uses up no id and no place", () => {
    expect(() => table.request("x".repeat(513), "")).toThrow();
    expect(leave()).toEqual([]);
    expect(table.request("a", "")).toBe(1);
    expect(table.request("b", "")).toBe(2);
  });

  /** What each frame does in each state: taken, ignored, or a violation. */
  const STATES: Readonly<Record<string, () => void>> = {
    "never asked": () => {},
    asked: () => table.request("a", ""),
    ready: () => {
      table.request("a", "");
      table.receiveReady(1);
    },
    closing: () => {
      table.request("a", "");
      table.close(1);
    },
    over: () => {
      table.request("a", "");
      table.receiveClosed(1);
    },
  };
  test.each([
    ["never asked", "ready", "violation"],
    ["never asked", "closed", "violation"],
    ["asked", "ready", "taken"],
    ["asked", "closed", "taken"],
    ["ready", "ready", "violation"],
    ["ready", "closed", "taken"],
    ["closing", "ready", "ignored"],
    ["closing", "closed", "taken"],
    ["over", "ready", "violation"],
    ["over", "closed", "violation"],
  ] as const)("%s: TUNNEL_%s is %s", (state, frame, outcome) => {
    (STATES[state] as () => void)();
    const receive = () => (frame === "ready" ? table.receiveReady(1) : table.receiveClosed(1));
    if (outcome === "violation") expect(receive).toThrow(violation("unexpected_frame"));
    else expect(receive()).not.toBe(outcome === "ignored");
  });

  test("closing twice, or what is not there, sends nothing", () => {
    table.request("a", "");
    leave();
    table.close(1);
    table.close(1);
    table.close(7);
    expect(leave()).toEqual(["tunnelClose 1"]);
  });
});

describe("as the side that listens", () => {
  test("takes ids that go up, left-out ones included, and no others", () => {
    table.receiveOpen(5);
    for (const id of [5, 4, 1, 0]) expect(() => table.receiveOpen(id)).toThrow(violation("unexpected_frame"));
    table.receiveOpen(6);
  });

  test("takes as many as it announced, and counts until TUNNEL_CLOSED has left", () => {
    table.receiveOpen(1);
    table.receiveOpen(2);
    expect(() => table.receiveOpen(3)).toThrow(violation("limit_exceeded"));
    table.closed(1, "bind_failed");
    expect(() => table.receiveOpen(3)).toThrow(violation("limit_exceeded"));
    leave();
    table.receiveOpen(3);
  });

  test("answers once: ready, then closed, and nothing after that", () => {
    table.receiveOpen(1);
    table.ready(1, "tcp://a:80");
    table.ready(1, "tcp://a:81");
    table.closed(1, "listener_failed");
    table.closed(1, "closed");
    table.ready(1, "tcp://a:82");
    expect(leave()).toEqual(["tunnelReady 1 tcp://a:80", "tunnelClosed 1 listener_failed"]);
    table.closed(1, "closed");
    table.ready(1, "x");
    table.closed(9, "closed");
    expect(leave()).toEqual([]);
  });

  test("is asked to close what it has, and not what it closed already", () => {
    table.receiveOpen(1);
    expect(table.receiveClose(1)).toBe(true);
    table.closed(1, "closed");
    expect(table.receiveClose(1)).toBe(false); // TUNNEL_CLOSED waits
    leave();
    expect(table.receiveClose(1)).toBe(false); // TUNNEL_CLOSED has left
  });

  test("an id that was never asked for cannot be closed", () => {
    expect(() => table.receiveClose(1)).toThrow(violation("unexpected_frame"));
    table.receiveOpen(3);
    expect(() => table.receiveClose(4)).toThrow(violation("unexpected_frame"));
    expect(table.receiveClose(2)).toBe(false);
  });

  test("both directions have ids of their own", () => {
    expect(table.request("a", "")).toBe(1);
    table.receiveOpen(1);
    table.closed(1, "bind_failed");
    table.receiveReady(1);
    expect(leave()).toEqual(["tunnelOpen 1 a", "tunnelClosed 1 bind_failed"]);
  });
});
