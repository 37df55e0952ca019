import type { CloseCode } from "./raw-web-socket.ts";
import { closeBytes, type FrameHead, frameBytes, OPCODE } from "./web-socket-bytes.ts";

/** A row of table 4.A below the messages: bytes, and the close code that they get. */
export type BadBytes = readonly [id: string, words: string, bytes: Buffer, code: CloseCode];

const NOTHING = new Uint8Array(0);
const BYTE = Uint8Array.of(1);
/** A PONG that nobody asked for: a frame that is right, if the WebSocket around it is. */
const PONG = Uint8Array.of(0x44, 0, 0, 0, 1);

/** What an end must refuse, whatever was said before. `masked`: by a client, to a server. */
export function badBytes(masked: boolean): readonly BadBytes[] {
  const frame = (payload: Uint8Array, head: FrameHead = {}): Buffer =>
    frameBytes(payload, { masked, ...head });
  const close = (payload: number | Uint8Array): Buffer => closeBytes(payload, { masked });
  const { continuation, text, ping } = OPCODE;
  return [
    ["A12", `a frame ${masked ? "without" : "with"} a mask`, frame(PONG, { masked: !masked }), 1002],
    ["A13", "opcode 3", frame(NOTHING, { opcode: 3 }), 1002],
    ["A13", "opcode 11", frame(NOTHING, { opcode: 11 }), 1002],
    ["A14, T33", "a compressed frame (RSV1)", frame(BYTE, { rsv: 0x40 }), 1002],
    ["A14", "RSV2 and RSV3", frame(BYTE, { rsv: 0x30 }), 1002],
    ["A16", "text that is not UTF-8", frame(Uint8Array.of(0xc3, 0x28), { opcode: text }), 1007],
    ["A17", "a message of 131,073 bytes", frame(new Uint8Array(131_073)), 1009],
    [
      "A17",
      "a message of 131,073 bytes in two fragments",
      Buffer.concat([frame(new Uint8Array(131_072), { fin: false }), frame(BYTE, { opcode: continuation })]),
      1009,
    ],
    ["A18, T31", "a length of 2^31, and nothing behind it", frame(NOTHING, { length: 2n ** 31n }), 1009],
    ["A18, T31", "a length of 2^53 + 1", frame(NOTHING, { length: 2n ** 53n + 1n }), 1009],
    ["A18, T31", "a length of 2^63", frame(NOTHING, { length: 2n ** 63n }), 1009],
    ["A18, T31", "a length of 2^64 - 1", frame(NOTHING, { length: 2n ** 64n - 1n }), 1009],
    ["A19", "a ping of 126 bytes", frame(new Uint8Array(126), { opcode: ping }), 1002],
    ["A19", "a ping in fragments", frame(BYTE, { opcode: ping, fin: false }), 1002],
    ["A20", "a continuation of nothing", frame(BYTE, { opcode: continuation }), 1002],
    ["A20", "a message within a message", Buffer.concat([frame(BYTE, { fin: false }), frame(BYTE)]), 1002],
    ["A21, T32", "17 fragments", fragments(masked, BYTE, 17), 1008],
    ["A21, T32", "17 empty fragments", fragments(masked, NOTHING, 17), 1008],
    ["A22", "close code 1005", close(1005), 1002],
    ["A22", "close code 999", close(999), 1002],
    ["A22", "a close with half a code", close(BYTE), 1002],
    ["A22", "a close with a reason that is not UTF-8", close(Uint8Array.of(3, 0xe8, 0xff)), 1007],
    ["A24", "a message behind a close frame", Buffer.concat([close(1000), frame(BYTE)]), 1000],
  ];
}

/** A message that begins, and so many further fragments that do not end it. */
export function fragments(masked: boolean, payload: Uint8Array, count: number): Buffer {
  const further = frameBytes(payload, { masked, opcode: OPCODE.continuation, fin: false });
  return Buffer.concat([
    frameBytes(payload, { masked, fin: false }),
    ...Array.from({ length: count }, () => further),
  ]);
}
