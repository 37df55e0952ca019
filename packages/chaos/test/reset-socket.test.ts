import { readdirSync, readlinkSync } from "node:fs";
import { platform } from "node:os";
import { expect, it } from "vitest";
import { Rig, until } from "./rig.ts";

/** Sockets that this process has open. */
function sockets(): number {
  const names = readdirSync("/proc/self/fd").filter((name) => {
    try {
      return readlinkSync(`/proc/self/fd/${name}`).startsWith("socket:");
    } catch {
      return false; // closed meanwhile
    }
  });
  return names.length;
}

it.runIf(platform() === "linux")("a reset right behind an end leaks no descriptor", async () => {
  const before = sockets();
  for (let n = 0; n < 10; n += 1) {
    await using rig = await Rig.start();
    const { near, far } = await rig.pair();
    rig.proxy.set({ up: "blackhole" });
    near.socket.write("swallowed");
    await until(() => rig.proxy.connections[0]?.up.bytesDropped === 9);
    near.socket.end();
    await until(() => rig.proxy.connections[0]?.up.bytesDropped === 9);
    // The last of both directions to end, and one of them never told: the proxy ends the visitor, then resets it.
    far.socket.end("HTTP/1.1 408 Request Timeout\r\n\r\n");
    await near.ended;
    await far.closed;
  }
  await until(() => sockets() <= before);
  expect(sockets()).toBeLessThanOrEqual(before);
});
