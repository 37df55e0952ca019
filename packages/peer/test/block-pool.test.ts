import { setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { BlockPool } from "../src/block-pool.ts";

/** Takes until there are no more. */
function takeAll(pool: BlockPool): Uint8Array[] {
  const blocks: Uint8Array[] = [];
  for (let block = pool.take(); block !== undefined; block = pool.take()) blocks.push(block);
  return blocks;
}

/** Which of `blocks` there are in `found`, by their memory; -1 for another one. Blocks are large to compare, and to print. */
function places(found: readonly Uint8Array[], blocks: readonly Uint8Array[]): number[] {
  return found.map(({ buffer }) => blocks.findIndex((block) => block.buffer === buffer)).sort();
}

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;

describe("BlockPool", () => {
  test("gives out as many blocks as it may, of the same size, and no two share memory", () => {
    const blocks = takeAll(new BlockPool(20));
    expect(blocks.length).toBe(20);
    expect(new Set(blocks.map(({ buffer }) => buffer)).size).toBe(20);
    expect(new Set(blocks.map(({ length }) => length)).size).toBe(1);
    // Eight of the largest frames, with what stands before each.
    expect(blocks[0]?.length).toBeGreaterThanOrEqual(8 * (32_768 + 11 + 14));
  });

  test("may have none at all", () => {
    expect(takeAll(new BlockPool(0)).length).toBe(0);
  });

  test("uses again what came back, and no more", () => {
    const pool = new BlockPool(3);
    const blocks = takeAll(pool);
    pool.give(blocks[1]!);
    expect(places(takeAll(pool), blocks)).toEqual([1]);
    pool.give(blocks[2]!);
    // By any view of the whole.
    pool.give(new Uint8Array(blocks[0]!.buffer));
    expect(places(takeAll(pool), blocks)).toEqual([0, 2]);
  });

  test("prefers what came back to a new one", () => {
    const pool = new BlockPool(3);
    const block = pool.take()!;
    pool.give(block);
    expect(places([pool.take()!], [block])).toEqual([0]);
  });

  test("keeps only some of those that came back, and the others count until the collector has them", async () => {
    const pool = new BlockPool(20);
    const kept = takeGiveTake(pool);
    expect(kept.length).toBeGreaterThan(0);
    expect(kept.length).toBeLessThan(20);
    await expect
      .poll(() => {
        gc();
        return kept.push(...takeAll(pool));
      })
      .toBe(20);
  });

  test("a block counts as long as somebody has its memory, by whatever view", async () => {
    const pool = new BlockPool(4);
    const memories = takeAll(pool).map(({ buffer }) => buffer);
    for (let round = 0; round < 5; round += 1) {
      gc();
      await turn();
    }
    expect([takeAll(pool).length, memories.length]).toEqual([0, 4]);
  });
});

/** Takes all, gives all back, and takes what there is then; in a function of its own, so that nobody else has the others. */
function takeGiveTake(pool: BlockPool): Uint8Array[] {
  const blocks = takeAll(pool);
  for (const block of blocks) pool.give(block);
  const kept = takeAll(pool);
  expect(places(kept, blocks)).not.toContain(-1);
  return kept;
}
