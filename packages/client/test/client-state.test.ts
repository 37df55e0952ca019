import { CulvertError } from "@culvert/protocol";
import { describe, expect, it } from "vitest";
import { type ClientState, ClientStateCell } from "../src/client-state.ts";

const PATHS: Readonly<Record<ClientState, readonly ClientState[]>> = {
  closed: [],
  connecting: ["connecting"],
  open: ["connecting", "open"],
  detached: ["connecting", "open", "detached"],
  closing: ["connecting", "closing"],
};
const LEGAL: Readonly<Record<ClientState, string>> = {
  closed: "connecting",
  connecting: "open closing closed",
  open: "detached connecting closing closed",
  detached: "open connecting closing closed",
  closing: "closed",
};
const STATES = Object.keys(PATHS) as ClientState[];

function cellAt(state: ClientState, told: unknown[] = []): ClientStateCell {
  const cell = new ClientStateCell((...move) => told.push(move));
  for (const step of PATHS[state]) cell.move(step);
  return cell;
}

describe.each(STATES)("from %s", (from) => {
  it.each(STATES)("to %s", (to) => {
    const told: unknown[] = [];
    const cell = cellAt(from, told);
    told.length = 0;
    const cause = new CulvertError("aborted");
    if (LEGAL[from].split(" ").includes(to)) {
      cell.move(to, cause);
      expect(cell.current).toBe(to);
      expect(told).toEqual([[from, to, cause]]);
    } else {
      expect(() => cell.move(to, cause)).toThrow(expect.objectContaining({ code: "internal_error" }));
      expect(cell.current).toBe(from);
      expect(told).toEqual([]);
    }
  });
});
