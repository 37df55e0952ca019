import type { Logger } from "@culvert/peer";
import { expect, it, vi } from "vitest";
import { DescriptorWatch } from "../src/descriptor-watch.ts";

it("says once that no descriptor is free, and once that it is over", async () => {
  vi.useFakeTimers();
  try {
    const lines: string[] = [];
    const at = (level: string) => (_fields: object, message: string) =>
      void lines.push(`${level} ${message}`);
    const log = { warn: at("warn"), info: at("info") } as unknown as Logger;
    let code: string | undefined;
    const watch = new DescriptorWatch(log, async () => code, 10);
    const look = (): Promise<unknown> => vi.advanceTimersByTimeAsync(30);
    await look();
    expect(lines).toEqual([]);
    code = "EMFILE";
    await look();
    // Anything else says nothing about descriptors, and where /dev/null is missing none of this works.
    expect(lines).toEqual(["warn no descriptor is free, who connects is closed at once"]);
    code = undefined;
    await look();
    expect(lines.slice(1)).toEqual(["info descriptors are free again"]);
    code = "ENOENT";
    await look();
    expect(lines).toHaveLength(2);
    watch.close();
    code = "ENFILE";
    await look();
    expect(lines).toHaveLength(2);
  } finally {
    vi.useRealTimers();
  }
});

it("finds descriptors where there are some", async () => {
  const lines: unknown[] = [];
  const log = { warn: (...line: unknown[]) => void lines.push(line) } as unknown as Logger;
  const watch = new DescriptorWatch(log, undefined, 1);
  const isDone = () => expect(process.getActiveResourcesInfo()).not.toContain("FSReqCallback");
  await vi.waitFor(isDone, 15_000);
  watch.close();
  expect(lines).toEqual([]);
});
