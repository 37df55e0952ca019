import { describe, expect, test } from "vitest";
import { type Lingerer, LingerRoom } from "../src/linger-room.ts";

function lingerers(count: number): { readonly all: Lingerer[]; readonly gone: number[] } {
  const gone: number[] = [];
  const all = Array.from({ length: count }, (_, at) => ({ giveUp: () => void gone.push(at) }));
  return { all, gone };
}

describe("LingerRoom", () => {
  test("counts what is inside, as it shrinks and leaves", () => {
    const room = new LingerRoom(100, 10);
    const { all, gone } = lingerers(2);
    for (const each of all) room.enter(each, 50);
    expect([room.bytes, room.sockets]).toEqual([100, 2]);
    room.shrink(all[0]!, 20);
    room.shrink(all[0]!, 30); // never grows
    expect(room.bytes).toBe(70);
    room.leave(all[0]!);
    room.leave(all[0]!);
    expect([room.bytes, room.sockets]).toEqual([50, 1]);
    expect(gone).toEqual([]);
  });

  test("never holds more bytes than it has room for: who made no progress for longest goes", () => {
    const room = new LingerRoom(100, 10);
    const { all, gone } = lingerers(4);
    for (const each of all.slice(0, 3)) room.enter(each, 30);
    room.shrink(all[0]!, 29);
    room.enter(all[3]!, 50);
    expect(gone).toEqual([1, 2]);
    expect(room.bytes).toBe(79);
    room.shrink(all[1]!, 1);
    expect(room.bytes).toBe(79);
  });

  test("nor more sockets", () => {
    const room = new LingerRoom(100, 2);
    const { all, gone } = lingerers(4);
    for (const each of all) room.enter(each, 0);
    expect(gone).toEqual([0, 1]);
    expect(room.sockets).toBe(2);
  });

  test("turns away what is larger than itself", () => {
    const room = new LingerRoom(100, 10);
    const { all, gone } = lingerers(1);
    room.enter(all[0]!, 101);
    expect(gone).toEqual([0]);
    expect([room.bytes, room.sockets]).toEqual([0, 0]);
  });
});
