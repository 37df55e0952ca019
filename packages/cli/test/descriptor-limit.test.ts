import { expect, it } from "vitest";
import { descriptorLimit, mostSockets } from "../src/descriptor-limit.ts";
import { temporaryFile } from "./support.ts";

const HEAD = "Limit                     Soft Limit           Hard Limit           Units     \n";

it("reads the soft limit of a process", () => {
  const limits = (soft: string): string =>
    `${HEAD}Max processes             7                    8                    processes \nMax open files            ${soft.padEnd(20)} 4096                 files     \n`;
  expect(descriptorLimit(temporaryFile(limits("1024")))).toBe(1024);
  expect(descriptorLimit(temporaryFile(limits("unlimited")))).toBeUndefined();
  expect(descriptorLimit(temporaryFile(HEAD))).toBeUndefined();
  expect(descriptorLimit("/proc/self/no-such-file")).toBeUndefined();
});

it.each([
  [undefined, 1_000_000],
  [4, 2],
  [400, 260],
  [1024, 665],
  [4096, 3336],
  [65_536, 58_632],
  [1_048_576, 943_368],
  [1_073_741_816, 1_000_000],
])("of %s descriptors leaves some for WebSockets and others", (limit, sockets) => {
  expect(mostSockets(limit)).toBe(sockets);
});
