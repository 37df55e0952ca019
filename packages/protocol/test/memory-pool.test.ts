import { describe, expect, test, vi } from "vitest";
import { MemoryPool } from "../src/memory-pool.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
const OWNED = { replayBytes: 100, receiveBytes: 50, keptForControlBytes: 20 };

function admitted(pool: MemoryPool) {
  const memory = pool.admit();
  if (memory === undefined) throw new Error("not admitted");
  return memory;
}

describe("a memory pool", () => {
  test("counts what each session owns from its admission on, and takes it back", () => {
    const pool = new MemoryPool(10 * MiB);
    const [a, b] = [admitted(pool), admitted(pool)];
    expect(pool.used).toBe(2 * 320 * KiB);
    a.replay.take(1000); // within what it owns
    expect(pool.used).toBe(2 * 320 * KiB);
    a.replay.take(300 * KiB);
    expect(pool.used).toBe(2 * 320 * KiB + 44 * KiB + 1000);
    a.close();
    b.close();
    expect(pool.used).toBe(0);
  });

  test("what readers have not taken when their session ends stays counted until they have", () => {
    const pool = new MemoryPool(10 * MiB);
    const memory = admitted(pool);
    memory.receive.take(2 * MiB);
    memory.replay.take(MiB);
    memory.close();
    expect(pool.used).toBe(2 * MiB);
    memory.receive.take(MiB);
    memory.receive.take(-MiB);
    expect(pool.used).toBe(MiB);
    memory.receive.take(-5 * MiB);
    memory.replay.take(-MiB);
    expect(pool.used).toBe(0);
  });

  test("a session that is closed takes nothing any more", () => {
    const pool = new MemoryPool(10 * MiB);
    const memory = admitted(pool);
    memory.close();
    memory.replay.take(MiB);
    memory.receive.take(-MiB);
    memory.close();
    expect(pool.used).toBe(0);
    expect(memory.isClosed).toBe(true);
  });

  test("what is owned is there although others have taken all the rest", () => {
    const pool = new MemoryPool(1000, { owned: OWNED });
    const [poor, rich] = [admitted(pool), admitted(pool)];
    rich.receive.take(rich.receive.free);
    expect(pool.free).toBe(0);
    expect([poor.replay.free, poor.replay.freeForData, poor.receive.free]).toEqual([100, 80, 50]);
    expect([rich.replay.free, rich.receive.free]).toEqual([100, 0]);
    poor.replay.take(80);
    expect([poor.replay.free, poor.replay.freeForData]).toEqual([20, 0]);
    expect(pool.used).toBe(1000);
  });

  test("the two parts of a session do not borrow from each other", () => {
    const pool = new MemoryPool(1000, { owned: OWNED });
    const memory = admitted(pool);
    memory.receive.take(memory.receive.free);
    expect(memory.replay.free).toBe(100);
  });

  test.each([
    [0, "ample"],
    [799, "ample"],
    [800, "scarce"],
    [899, "scarce"],
    [900, "tight"],
    [949, "tight"],
    [950, "full"],
    [1000, "full"],
  ])("with %i of 1000 taken it is %s", (taken, level) => {
    const pool = new MemoryPool(1000, { owned: OWNED });
    pool.change(taken);
    expect(pool.level).toBe(level);
  });

  test("takes new sessions as long as they alone do not make it scarce", () => {
    const pool = new MemoryPool(1000, { owned: OWNED });
    const one = OWNED.replayBytes + OWNED.receiveBytes;
    pool.change(800 - one);
    expect(pool.takesNewSessions).toBe(true);
    pool.change(1);
    expect(pool.takesNewSessions).toBe(false);
    // Who takes the place of another one is not asked.
    expect(pool.admit()?.isClosed).toBe(false);
  });

  test("has half of itself for promises, and for one session a quarter of what is left of that", () => {
    const pool = new MemoryPool(10_000, { owned: OWNED });
    const [a, b] = [admitted(pool).receive, admitted(pool).receive];
    const owned = 2 * (OWNED.replayBytes + OWNED.receiveBytes);
    const first = Math.floor((5000 - owned) / 4);
    expect(a.freeForPromises).toBe(OWNED.receiveBytes + first);
    a.take(a.freeForPromises);
    expect(a.takenBytes).toBe(first);
    expect(a.freeForPromises).toBe(0);
    expect(b.freeForPromises).toBe(OWNED.receiveBytes + Math.floor((5000 - owned - first) / 4));
    // Whoever promises as much as it may, the memory never becomes scarce by it.
    for (let i = 0; i < 100; i += 1) for (const share of [a, b]) share.take(share.freeForPromises);
    expect(pool.level).toBe("ample");
    expect(pool.used).toBeLessThanOrEqual(5000);
    // And its own part is there however much the others took.
    pool.change(pool.free);
    const c = b.ownedFree;
    b.take(-b.takenBytes - 10);
    expect([c, b.ownedFree, b.freeForPromises]).toEqual([0, 10, 10]);
  });

  test("takes no session whose own part is not there", () => {
    const pool = new MemoryPool(1000, { owned: { ...OWNED, replayBytes: 900 } });
    pool.change(100);
    expect(pool.admit()).toBeUndefined();
    expect(pool.used).toBe(100);
  });

  test("tells each time when it becomes full, not while it is", () => {
    const onFull = vi.fn();
    const pool = new MemoryPool(1000, { owned: OWNED, onFull });
    pool.change(949);
    expect(onFull).not.toHaveBeenCalled();
    pool.change(1);
    pool.change(10);
    expect(onFull).toHaveBeenCalledTimes(1);
    pool.change(-100);
    pool.change(100);
    expect(onFull).toHaveBeenCalledTimes(2);
  });
});
