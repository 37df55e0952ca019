import { EventEmitter } from "node:events";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type WebSocketLike, webSocketTransport } from "../src/web-socket-transport.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setImmediate", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** The events of a WebSocket; what ends in a chunk is said by the test, before the chunk itself. */
class FakeWebSocket extends EventEmitter implements WebSocketLike {
  binaryType = "";
  readonly bufferedAmount = 0;
  readonly readyState = 1;
  readonly terminate = vi.fn(() => void this.emit("close", 1006, Buffer.alloc(0)));
  close(): void {}
}

function opened() {
  const webSocket = new FakeWebSocket();
  const socket = new PassThrough();
  const transport = webSocketTransport(webSocket, socket, "none");
  const onClose = vi.fn();
  const [onMessage, onText, onHeard, onDrain] = [vi.fn(), vi.fn(), vi.fn(), vi.fn()];
  transport.handler = { onMessage, onText, onHeard, onDrain, onClose };
  return { webSocket, socket, onMessage, onClose };
}

describe("a message that does not become whole", () => {
  test("ends the transport, and says why", () => {
    const { webSocket, socket, onClose } = opened();
    for (let second = 0; second < 12; second += 1) {
      socket.emit("data", Buffer.of(1));
      vi.advanceTimersByTime(1000);
    }
    expect(webSocket.terminate).toHaveBeenCalledTimes(1);
    expect(onClose.mock.calls).toEqual([[1006, "a message did not become whole"]]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test.each([
    ["message", [Buffer.of(1), true]],
    ["message", [Buffer.of(1), false]],
    ["ping", [Buffer.alloc(0)]],
    ["pong", [Buffer.alloc(0)]],
  ])("what ends with a %s is whole", (event, given) => {
    const { webSocket, socket, onClose } = opened();
    for (let n = 0; n < 100; n += 1) {
      socket.emit("data", Buffer.of(1));
      vi.advanceTimersByTime(5000);
      webSocket.emit(event, ...given);
      socket.emit("data", Buffer.of(1));
      vi.advanceTimersByTime(60_000);
    }
    expect(onClose).not.toHaveBeenCalled();
    webSocket.emit("close", 1001, Buffer.from("bye"));
    expect(onClose.mock.calls).toEqual([[1001, "bye"]]);
  });
});
