import { describe, expect, test } from "vitest";
import { FairRoom, type RoomShare } from "../src/fair-room.ts";

/** Enters as often as it may, at most so often; returns how often. */
function fill(share: RoomShare, most = Number.POSITIVE_INFINITY): number {
  let count = 0;
  while (count < most && share.enter()) count += 1;
  return count;
}

describe("FairRoom", () => {
  test("gives each a portion of what the others leave, and some to who comes last", () => {
    const room = new FairRoom(4096, 1 / 4);
    const shares = Array.from({ length: 5 }, () => room.share());
    expect(shares.map((share) => fill(share))).toEqual([1024, 768, 576, 432, 324]);
    // Who came first has more than its portion now, and gets no more until it has less.
    for (let n = 0; n < 525; n += 1) shares[0]!.leave();
    expect(shares[0]!.enter()).toBe(false);
    shares[0]!.leave();
    expect(fill(shares[0]!)).toBe(1);
    // When others leave, there is more for everybody.
    for (let n = 0; n < 768; n += 1) shares[1]!.leave();
    expect(fill(shares[0]!)).toBe(192);
  });

  test("gives 16 in any case, and never more than there are", () => {
    const room = new FairRoom(40, 1 / 4);
    const shares = Array.from({ length: 4 }, () => room.share());
    expect(shares.map((share) => fill(share))).toEqual([16, 16, 8, 0]);
    shares[0]!.leave();
    expect(fill(shares[3]!)).toBe(1);
  });

  test("gives all to one who has it alone", () => {
    const room = new FairRoom(1000, 1);
    expect(fill(room.share())).toBe(1000);
    expect(new FairRoom(1, 1 / 2).share().enter()).toBe(true);
  });
});
