import { describe, expect, test } from "vitest";
import { UnauthenticatedRoom } from "../src/unauthenticated-room.ts";

function connection(name: string, destroyed: string[]): { destroy(): void } {
  return { destroy: () => void destroyed.push(name) };
}

describe("UnauthenticatedRoom", () => {
  test("one more than fits drops who has waited longest", () => {
    const destroyed: string[] = [];
    const room = new UnauthenticatedRoom(2);
    const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => connection(name, destroyed)) as [
      { destroy(): void },
      { destroy(): void },
      { destroy(): void },
      { destroy(): void },
    ];
    room.enter(a);
    room.enter(b);
    room.enter(a); // keeps its place
    expect(destroyed).toEqual([]);
    room.enter(c);
    expect(destroyed).toEqual(["a"]);
    room.leave(b);
    room.enter(d);
    expect(destroyed).toEqual(["a"]);
    expect([room.size, room.dropped]).toEqual([2, 1]);
    room.clear();
    expect(destroyed).toEqual(["a", "c", "d"]);
    expect(room.size).toBe(0);
  });
});
