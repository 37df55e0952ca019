import { describe, expect, test } from "vitest";
import { UnauthenticatedRoom } from "../src/unauthenticated-room.ts";

function connection(name: string, destroyed: string[]): { destroy(): void } {
  return { destroy: () => void destroyed.push(name) };
}

describe("UnauthenticatedRoom", () => {
  test("one more than fits drops who has waited longest", () => {
    const destroyed: string[] = [];
    const room = new UnauthenticatedRoom({ most: 2, mostPerAddress: 2 });
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

  test("one more of an address than fits drops its oldest, and nobody else's", () => {
    const destroyed: string[] = [];
    const room = new UnauthenticatedRoom({ most: 100, mostPerAddress: 2 });
    const enter = (name: string, remoteAddress: string | undefined): void => {
      room.enter({ remoteAddress, destroy: () => void destroyed.push(name) });
    };
    enter("other", "198.51.100.7");
    enter("a", "192.0.2.1");
    enter("b", "::ffff:192.0.2.1");
    expect(destroyed).toEqual([]);
    enter("c", "192.0.2.1");
    expect(destroyed).toEqual(["a"]);
    enter("v6 a", "2001:db8:1:2::1");
    enter("v6 b", "2001:db8:1:2:3:4:5:6");
    enter("v6 elsewhere", "2001:db8:1:3::1");
    enter("v6 c", "2001:db8:1:2::2");
    expect(destroyed).toEqual(["a", "v6 a"]);
    for (let n = 0; n < 50; n += 1) enter("local", n % 2 === 0 ? "127.0.0.1" : "::1");
    for (let n = 0; n < 20; n += 1) enter("unix", undefined);
    expect(destroyed).toEqual(["a", "v6 a"]);
    expect(room.dropped).toBe(2);
  });
});
