import { duplexPair } from "node:stream";
import { describe, expect, test } from "vitest";
import { MOST_HEADER_BYTES, writeMessageHeader } from "../src/web-socket-header.ts";
import { acceptedWebSocket } from "./support/accepted-web-socket.ts";

/** RFC 6455 section 5.2, of a final binary message that is not masked. */
const HEADERS: [length: number, header: string][] = [
  [0, "8200"],
  [1, "8201"],
  [125, "827d"],
  [126, "827e007e"],
  [255, "827e00ff"],
  [256, "827e0100"],
  [32_779, "827e800b"],
  [65_535, "827effff"],
  [65_536, "827f0000000000010000"],
  [131_072, "827f0000000000020000"],
  [0x1234567, "827f0000000001234567"],
  [2 ** 31 - 1, "827f000000007fffffff"],
  [2 ** 31, "827f0000000080000000"],
  [2 ** 32 - 1, "827f00000000ffffffff"],
];
const KEY = Uint8Array.of(0x12, 0x34, 0x56, 0x78);

/** What was written to the place, as hex; fails if something was written beside it. */
function written(length: number, key: Uint8Array | undefined, at = 5): string {
  const target = Buffer.alloc(at + MOST_HEADER_BYTES + 5, 0xee);
  const end = writeMessageHeader(target, at, length, key);
  expect(end - at).toBeLessThanOrEqual(MOST_HEADER_BYTES);
  expect(target.fill(0, at, end)).toEqual(
    Buffer.concat([Buffer.alloc(at, 0xee), Buffer.alloc(end - at), Buffer.alloc(target.length - end, 0xee)]),
  );
  writeMessageHeader(target, at, length, key);
  return target.toString("hex", at, end);
}

describe("writeMessageHeader", () => {
  test.each(HEADERS)("of %i bytes, as a server sends them", (length, header) => {
    expect(written(length, undefined)).toBe(header);
    expect(written(length, undefined, 0)).toBe(header);
  });

  test.each(HEADERS)("of %i bytes, as a client sends them", (length, header) => {
    const second = (Number.parseInt(header.slice(2, 4), 16) | 0x80).toString(16);
    const masked = `82${second}${header.slice(4)}`;
    expect(written(length, KEY)).toBe(`${masked}12345678`);
    // A key of zeros is a key: the other end looks for it.
    expect(written(length, new Uint8Array(4))).toBe(`${masked}00000000`);
  });

  test("ws reads the messages behind these headers", async () => {
    const [near, far] = duplexPair();
    const webSocket = await acceptedWebSocket(near);
    const messages: Buffer[] = [];
    webSocket.on("message", (message, isBinary) => {
      expect(isBinary).toBe(true);
      messages.push(message as Buffer);
    });
    const lengths = HEADERS.map(([length]) => length).filter((length) => length <= 131_072);
    for (const length of lengths) {
      const header = new Uint8Array(MOST_HEADER_BYTES);
      far.write(header.subarray(0, writeMessageHeader(header, 0, length, new Uint8Array(4))));
      far.write(Buffer.alloc(length, length));
    }
    await expect.poll(() => messages.length).toBe(lengths.length);
    for (const [index, length] of lengths.entries()) {
      expect(messages[index]?.equals(Buffer.alloc(length, length))).toBe(true);
    }
    webSocket.terminate();
  });
});
