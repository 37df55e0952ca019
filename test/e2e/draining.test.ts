import { afterEach, describe, expect, test } from "vitest";
import { type CarriedPair, CarriedPairs } from "./support/carried-pairs.ts";
import type { Culvert } from "./support/culvert.ts";
import { MIB } from "./support/process-figures.ts";
import { RandomBytes } from "./support/random-bytes.ts";
import { dial, receive, send } from "./support/sockets.ts";
import { MODES } from "./support/tunnel-rig.ts";

/** Longer than anything here takes, and longer than a test waits: what waits for it fails. */
const LONG = "60s";
const FORCED = { SIGTERM: 143, SIGINT: 130 } as const;

describe.each(MODES)("with a connection of %s open", (mode) => {
  describe.each(["server", "client"] as const)("the %s", (which) => {
    let pairs: CarriedPairs;
    let pair: CarriedPair;
    const open = async (drain: string): Promise<Culvert> => {
      const flags = ["--drain", drain];
      pairs = await CarriedPairs.open(mode, { serverFlags: flags, clientFlags: flags });
      pair = await pairs.connect();
      return pairs.rig[which];
    };
    afterEach(() => pairs[Symbol.asyncDispose]());

    test("lets it finish, takes no new one, and ends with 0", async () => {
      const program = await open(LONG);
      const bytes = new RandomBytes(8, 64 * MIB);
      program.kill("SIGTERM");
      await program.stderr.waitFor('"msg":"stopping');
      const received = receive(pair.service);
      await send(pair.visitor, bytes);
      const late = await dial(pairs.rig.port).catch((error: Error) => error);
      if (!(late instanceof Error)) await expect(receive(late)).rejects.toMatchObject({ code: "ECONNRESET" });
      pair.visitor.end();
      expect((await received).sha256).toBe(bytes.sha256());
      pair.service.end();
      expect((await program.exit()).code).toBe(0);
      expect(program.stderr.all("draining")).toEqual([]);
    });

    test("gives one that does not finish its --drain, and ends with 0", async () => {
      const program = await open("2s");
      const startedAt = performance.now();
      const { code, at } = await program.end("SIGTERM");
      expect(code).toBe(0);
      expect(at - startedAt).toBeGreaterThan(1900);
    });

    test.each(["SIGTERM", "SIGINT"] as const)("ends at once at a second %s", async (signal) => {
      const program = await open(LONG);
      program.kill(signal);
      await program.stderr.waitFor('"msg":"stopping');
      const { code } = await program.end(signal);
      expect(code).toBe(FORCED[signal]);
    });
  });
});
