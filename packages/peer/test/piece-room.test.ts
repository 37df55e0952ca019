import { describe, expect, test } from "vitest";
import { PieceRoom } from "../src/piece-room.ts";

function holder(name: string, gone: string[]) {
  return { giveUp: () => void gone.push(name) };
}

describe("PieceRoom", () => {
  test("counts the pieces of all, and drops who has most when they are too many", () => {
    const gone: string[] = [];
    const [few, many, most] = ["few", "many", "most"].map((name) => holder(name, gone));
    const room = new PieceRoom(100);
    room.set(few!, 10);
    room.set(most!, 50);
    room.set(many!, 39);
    room.set(many!, 40);
    expect([room.pieces, gone]).toEqual([100, []]);
    room.set(few!, 11);
    expect([room.pieces, gone]).toEqual([51, ["most"]]);
    room.leave(many!);
    room.leave(many!);
    room.leave(most!);
    expect(room.pieces).toBe(11);
  });

  test("whoever has too many alone goes itself", () => {
    const gone: string[] = [];
    const room = new PieceRoom(100);
    const alone = holder("alone", gone);
    for (let pieces = 65; pieces <= 101; pieces += 1) room.set(alone, pieces);
    expect([room.pieces, gone]).toEqual([0, ["alone"]]);
  });
});
