import { expect, test } from "vitest";
import { familyOf, processEntry } from "../process-tree.ts";
import { socketEntries } from "../socket-table.ts";

test("reads a process, whatever its name is", () => {
  const stat =
    "812 (a b) c) S 700 812 812 0 -1 4194560 1 2 3 4 10 20 3 4 20 0 1 0 5 6 7 18446744073709551615 1 1 0 0";
  expect(processEntry(stat)).toEqual({ pid: 812, parent: 700, group: 812, ticks: 37 });
});

test("counts what was forked into groups of their own to the family", () => {
  const entry = (pid: number, parent: number, group: number) => ({ pid, parent, group, ticks: 0 });
  const table = [entry(1, 0, 1), entry(10, 1, 10), entry(11, 10, 10), entry(12, 11, 12), entry(20, 1, 20)];
  expect(familyOf([10], table).map(({ pid }) => pid)).toEqual([10, 11, 12]);
  expect(familyOf([0], table)).toEqual([]);
});

test("reads both tables of sockets", () => {
  const table = [
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid",
    "   0: 0100007F:1451 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0",
    "   1: 0100007F:1451 0200007F:C350 01 00000000:00000000 00:00000000 00000000     0",
    "   0: 0000000000000000FFFF00000100007F:0050 0000000000000000FFFF00000100007F:C351 01 00000000:00000000",
  ].join("\n");
  expect(socketEntries(table)).toEqual([
    { localHost: "0100007F", localPort: 5201, remotePort: 0, state: 10 },
    { localHost: "0100007F", localPort: 5201, remotePort: 50_000, state: 1 },
    { localHost: "0100007F", localPort: 80, remotePort: 50_001, state: 1 },
  ]);
});
