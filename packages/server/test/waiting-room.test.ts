import { describe, expect, test } from "vitest";
import { WaitingRoom } from "../src/waiting-room.ts";

/** A room, whose lots are told beforehand, and who was dropped from it. */
function roomOf(limits: { most: number; mostPerAddress: number }, lots: () => number = () => 0) {
  const dropped: string[] = [];
  const room = new WaitingRoom(limits, lots);
  const enter = (name: string, remoteAddress?: string) => {
    const connection = { remoteAddress, destroy: () => void dropped.push(name) };
    room.enter(connection);
    return connection;
  };
  return { room, dropped, enter };
}

/** The same numbers each time, spread well enough: a multiplicative congruential generator. */
function seeded(): () => number {
  let state = 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

describe("WaitingRoom", () => {
  test("when it is full, one is dropped by lot for each newcomer, who stays", () => {
    let lot = 0;
    const { room, dropped, enter } = roomOf({ most: 3, mostPerAddress: 3 }, () => lot);
    const [a, b] = [enter("a"), enter("b")];
    enter("c");
    room.enter(a); // is there already
    expect([room.size, dropped]).toEqual([3, []]);
    lot = 0.99;
    enter("d");
    expect(dropped).toEqual(["c"]);
    lot = 0.4;
    enter("e");
    expect(dropped).toEqual(["c", "b"]);
    room.leave(b); // is gone already
    room.leave(a);
    enter("f");
    expect([room.size, room.dropped, dropped]).toEqual([3, 2, ["c", "b"]]);
    room.clear();
    expect(dropped.toSorted()).toEqual(["b", "c", "d", "e", "f"]);
    expect(room.size).toBe(0);
  });

  test("a flood cannot drop an honest connection before some hundred others came", () => {
    const { dropped, enter, room } = roomOf({ most: 300, mostPerAddress: 20 }, seeded());
    let through = 0;
    for (let n = 0; n < 1000; n += 1) {
      const honest = enter("honest");
      for (let more = 0; more < 30; more += 1) enter("silent");
      through += dropped.includes("honest") ? 0 : 1;
      dropped.length = 0;
      room.leave(honest);
      expect(room.size).toBeLessThanOrEqual(300);
    }
    expect(through).toBeGreaterThan(850); // (1 - 1/300)^30 is 0.905
  });

  test("when it is full, one more of an address that has its share drops one of its own", () => {
    const { dropped, enter } = roomOf({ most: 5, mostPerAddress: 2 });
    enter("other", "198.51.100.7");
    enter("a", "192.0.2.1");
    enter("a", "::ffff:192.0.2.1");
    enter("a", "192.0.2.1");
    enter("a", "192.0.2.1"); // more than two, but nobody lacks room
    expect(dropped).toEqual([]);
    for (let n = 0; n < 10; n += 1) enter("a", "192.0.2.1");
    expect(dropped).toEqual(Array.from({ length: 10 }, () => "a"));
    enter("third", "203.0.113.1");
    expect(dropped.at(-1)).toBe("other"); // by lot: the first of all
  });

  test("an IPv6 address counts by its /64", () => {
    const { dropped, enter } = roomOf({ most: 4, mostPerAddress: 2 });
    enter("first", "198.51.100.7");
    enter("v6", "2001:db8:1:2::1");
    enter("v6", "2001:db8:1:2:3:4:5:6");
    enter("v6 elsewhere", "2001:db8:1:3::1");
    enter("v6", "2001:db8:1:2::2");
    expect(dropped).toEqual(["v6"]);
  });

  test.each(["127.0.0.1", "::1", undefined])("%s does not count as an address", (address) => {
    const { dropped, enter } = roomOf({ most: 4, mostPerAddress: 2 });
    enter("first", "198.51.100.7");
    for (let n = 0; n < 4; n += 1) enter("local", address);
    expect(dropped).toEqual(["first"]); // by lot: the first of all
  });
});
