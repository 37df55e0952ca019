import { Duplex } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BLOCK_BYTES, BlockPool } from "../src/block-pool.ts";
import { MASKINGS } from "../src/masking.ts";
import { WireWriter, type WireWriterOptions } from "../src/wire-writer.ts";
import { closing, pattern, readAll, visit } from "./support/sockets.ts";

/** Knows whose its blocks are, and spoils those that nobody may read any more. */
class WatchedPool extends BlockPool {
  /** By block: was it taken, and not given back? */
  readonly isOut = new Map<ArrayBufferLike, boolean>();

  get out(): number {
    return [...this.isOut.values()].filter(Boolean).length;
  }

  override take(): Uint8Array | undefined {
    const block = super.take();
    if (block !== undefined) this.isOut.set(block.buffer, true);
    return block;
  }

  override give(block: Uint8Array): void {
    expect(this.isOut.get(block.buffer)).toBe(true); // its own, and once
    this.isOut.set(block.buffer, false);
    super.give(block.fill(0xee));
  }
}

/** A socket that takes what is written at once, or when the test says so. */
class Wire extends Duplex {
  isSlow = false;
  /** What was taken, as it was when it was handed over, and the memory that it stood in. */
  readonly taken: Buffer[] = [];
  readonly memories = new Set<ArrayBufferLike>();
  /** One of those that wait; the next one is handed over then. */
  takeNext: () => void = () => {};

  override _read(): void {}
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const copy = Buffer.from(chunk);
    this.taken.push(copy);
    this.memories.add(chunk.buffer);
    this.takeNext = () => {
      this.takeNext = () => {};
      expect(copy.equals(chunk)).toBe(true); // nobody wrote there meanwhile
      done();
    };
    if (!this.isSlow) this.takeNext();
  }
}

/** RFC 6455 section 5.2, each message in one frame. */
function expectMessages(bytes: Buffer, isMasked: boolean, expected: readonly Buffer[]): void {
  const messages: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    expect([bytes[at], bytes[at + 1]! >> 7]).toEqual([0x82, isMasked ? 1 : 0]);
    const short = bytes[at + 1]! & 0x7f;
    const keyAt = at + (short < 126 ? 2 : short === 126 ? 4 : 10);
    const length = short < 126 ? short : Number(`0x${bytes.toString("hex", at + 2, keyAt)}`);
    at = keyAt + (isMasked ? 4 : 0) + length;
    const message = Buffer.from(bytes.subarray(at - length, at));
    for (let n = 0; isMasked && n < length; n += 1) message[n]! ^= bytes[keyAt + (n % 4)]!;
    messages.push(message);
  }
  expect(messages.map(({ length }) => length)).toEqual(expected.map(({ length }) => length));
  expect(Buffer.compare(Buffer.concat(messages), Buffer.concat(expected))).toBe(0);
}

function writerTo(socket: Duplex, blocks: BlockPool, options: Partial<WireWriterOptions> = {}): WireWriter {
  return new WireWriter(socket, { masking: undefined, isReusable: true, blocks, ...options });
}

function send(writer: WireWriter, ...frames: readonly Buffer[]): void {
  for (const frame of frames) writer.append(frame);
  writer.flush();
}

describe("WireWriter", () => {
  test("whatever is appended and however slow the socket, each frame arrives once and in order, and all blocks come back", async () => {
    const size = fc.oneof(fc.nat({ max: 200 }), fc.nat({ max: 9000 }), fc.constantFrom(32_779, 131_072));
    const action = fc.constantFrom("flush", "flush", "flush", "takeNext", "takeNext", "slow", "slow", "fast");
    const steps = fc.array(fc.oneof(size, action), { maxLength: 50, size: "max" });
    const masking = fc.constantFrom(undefined, MASKINGS.random, MASKINGS.zero);
    const most = fc.constantFrom(0, 2, 64);
    const scenario = fc.record({ masking, isReusable: fc.boolean(), most, steps });
    const property = fc.asyncProperty(scenario, async ({ most, steps, ...options }) => {
      const wire = new Wire();
      const blocks = new WatchedPool(most);
      const writer = writerTo(wire, blocks, options);
      const frames: Buffer[] = [];
      for (const step of [...steps, "flush", "fast"]) {
        if (typeof step === "number") {
          const frame = pattern(step, frames.length);
          frames.push(Buffer.from(frame));
          writer.append(frame);
          frame.fill(0xff); // it was copied
        } else if (step === "flush") writer.flush();
        else if (step === "slow") wire.isSlow = true;
        else {
          if (step === "fast") wire.isSlow = false;
          wire.takeNext();
          if (step === "takeNext") await turn();
        }
      }
      await turn();
      expectMessages(Buffer.concat(wire.taken), options.masking !== undefined, frames);
      expect([writer.pendingBytes, wire.writableLength, blocks.out]).toEqual([0, 0, 0]);
      if (!options.isReusable)
        for (const memory of wire.memories) expect(blocks.isOut.has(memory)).toBe(false);
    });
    await fc.assert(property, { seed: 20_251_121, numRuns: 120 });
  });

  test("over sockets of the kernel, both ways at once, also when they take no more for a while", async () => {
    const blocks = new WatchedPool(64);
    const { app, socket } = await visit();
    const ends = [app, socket];
    const writers = [writerTo(app, blocks, { masking: MASKINGS.random }), writerTo(socket, blocks)];
    const frames: Buffer[] = [];
    while (ends.some(({ writableLength }) => writableLength < 1_000_000)) {
      const frame = pattern([20, 32_779, 9000, 131][frames.length % 4]!, frames.length);
      frames.push(frame);
      for (const writer of writers) {
        writer.append(frame);
        if (frames.length % 10 === 0) writer.flush();
      }
      if (frames.length % 100 === 0) await turn();
    }
    for (const writer of writers) writer.flush();
    for (const end of ends) end.end();
    const [atApp, atSocket] = await Promise.all(ends.map(readAll));
    expectMessages(atSocket!, true, frames);
    expectMessages(atApp!, false, frames);
    expect(blocks.out).toBe(0);
  });

  test("blocks that wait in a socket come back when it is destroyed", async () => {
    const { socket } = await visit();
    const blocks = new WatchedPool(64);
    const writer = writerTo(socket, blocks);
    const most = [pattern(65_547), pattern(65_547), pattern(65_547)]; // less would be copied
    while (blocks.out < 5) send(writer, ...most);
    socket.destroy();
    send(writer, pattern(65_547));
    await closing(socket);
    send(writer, pattern(65_547));
    await turn();
    expect(blocks.out).toBe(0);
  });

  test("what fits a block leaves in one write, counted before with its headers; nothing leaves for nothing", () => {
    const wire = new Wire();
    const writer = writerTo(wire, new BlockPool(1), { masking: MASKINGS.zero });
    writer.flush();
    for (const length of [0, 125, 126, ...Array(7).fill(32_779)]) writer.append(pattern(length));
    const bytes = 6 + (6 + 125) + (8 + 126) + 7 * (8 + 32_779);
    expect([writer.pendingBytes, wire.taken.length]).toEqual([bytes, 0]);
    writer.flush();
    writer.flush();
    expect([writer.pendingBytes, ...wire.taken.map(({ length }) => length)]).toEqual([0, bytes]);
  });

  test("little that waits keeps neither a block nor, when there is none, much memory of its own", () => {
    for (const most of [1, 0]) {
      const wire = new Wire();
      const blocks = new WatchedPool(most);
      wire.isSlow = true;
      const writer = writerTo(wire, blocks);
      for (let n = 0; n < 100; n += 1) send(writer, pattern(n === 50 ? 8000 : 20));
      expect([blocks.isOut.size, blocks.out]).toEqual([most, 0]);
      wire.isSlow = false;
      wire.takeNext();
      const memory = [...wire.memories].reduce((sum, { byteLength }) => sum + byteLength, 0);
      expect(memory).toBeLessThan(200_000); // Node's pool, and 8000 bytes
    }
  });

  test("what is taken at once leaves its block to the next, in the same turn", () => {
    const wire = new Wire();
    const writer = writerTo(wire, new BlockPool(64));
    for (let n = 0; n < 10; n += 1) send(writer, pattern(32_779, n));
    expect([wire.taken.length, wire.memories.size]).toEqual([10, 1]);
  });

  test("frames that fit no block, or would but for their header, go their way and cost the pool none", async () => {
    const wire = new Wire();
    const blocks = new WatchedPool(1);
    const writer = writerTo(wire, blocks);
    const tight = Array.from({ length: 16 }, (_, n) => [BLOCK_BYTES - 110 - n, 100]);
    const sizes = [[10, BLOCK_BYTES, 400_000, 10], ...tight];
    const rounds = sizes.map((lengths) => lengths.map((length) => pattern(length)));
    for (const frames of rounds) send(writer, ...frames);
    await turn();
    expectMessages(Buffer.concat(wire.taken), false, rounds.flat());
    expect([blocks.isOut.size, blocks.out]).toEqual([1, 0]);
  });
});
