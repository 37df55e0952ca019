import { ChaosProxy, type CutAfterOptions, type Faults, Random } from "@culvert/chaos";
import { describe, expect, it } from "vitest";
import { Conversation } from "../../soak/conversation.ts";
import type { Script } from "../../soak/script.ts";
import { Tape } from "../../soak/tape.ts";
import { Targets } from "../../soak/targets.ts";
import { Troubles } from "../../soak/troubles.ts";
import { type Evidence, judge, type Verdict } from "../../soak/verdict.ts";
import { soon } from "../support/deadline.ts";

// That the soak sees what must not happen: in place of the tunnel there is a proxy that lies.

const NOTHING_KNOWN: Evidence = {
  loss: undefined,
  visitorBereft: false,
  hostBereft: false,
  code: undefined,
  troubledMs: 0,
};
const TALK: Script = { bytes: 200_000, piece: [1_000, 10_000] };

interface Lie {
  readonly faults?: Faults;
  readonly cut?: CutAfterOptions;
  readonly visitor?: Partial<Script>;
  readonly host?: Partial<Script>;
  readonly evidence?: Partial<Evidence>;
}

async function verdictOn({ faults, cut, visitor, host, evidence }: Lie): Promise<Verdict> {
  const targets = await Targets.listen(["-L"]);
  const tape = new Tape(1);
  let conversation: Conversation | undefined;
  const failures: string[] = [];
  targets.serve({
    find: (id) => (id === 7 ? conversation : undefined),
    calmMs: () => 0,
    onStranger: () => undefined,
    fail: (text) => failures.push(text),
  });
  const { port } = targets.list.find(({ kind }) => kind === "talking")!;
  await using proxy = await ChaosProxy.start({ target: { host: "127.0.0.1", port }, seed: 1 });
  if (faults !== undefined) proxy.set(faults);
  if (cut !== undefined) proxy.cutAfter(cut);
  conversation = new Conversation({
    id: 7,
    play: { shape: "any", target: "talking", visitor: { ...TALK, ...visitor }, host: { ...TALK, ...host } },
    client: { name: "any", troubles: new Troubles(), losses: [], kills: [] },
    mode: "-L",
    port: proxy.port,
    random: new Random(1),
    tape,
  });
  await soon(conversation.over, "both ends are over");
  await targets.close();
  expect(failures).toEqual([]);
  return judge(conversation, { ...NOTHING_KNOWN, ...evidence });
}

describe("the soak", () => {
  it("takes a connection for whole if everything arrived", async () => {
    expect(await verdictOn({})).toEqual({ kind: "whole" });
  });

  it.each(["up", "down"] as const)("sees one wrong byte %s", async (direction) => {
    const verdict = await verdictOn({ faults: { [direction]: { flipBit: { atByte: 100_000 } } } });
    expect(verdict.kind).toBe("failure");
    // Up, 12 bytes of header come before the first one that counts.
    expect(verdict).toMatchObject({
      text: expect.stringContaining(direction === "up" ? "byte 99988 is wrong" : "byte 100000 is wrong"),
    });
  });

  it.each(["up", "down"] as const)("sees a clean end on missing bytes, %s", async (direction) => {
    const verdict = await verdictOn({ cut: { bytes: 50_000, direction, how: "fin" } });
    expect(verdict).toMatchObject({
      kind: "failure",
      text: expect.stringContaining("heard a clean end after"),
    });
  });

  it("sees a reset that nothing explains, and believes in one that something does", async () => {
    const cut: CutAfterOptions = { bytes: 50_000, direction: "up", how: "rst" };
    expect(await verdictOn({ cut })).toEqual({
      kind: "failure",
      text: "a reset that nothing explains (any)",
    });
    const loss = "its session outlived the grace";
    expect(await verdictOn({ cut, evidence: { loss } })).toEqual({ kind: "reset", reason: loss });
  });

  it("knows a reset by one of the ends", async () => {
    const breaksOff = { resetAfterBytes: 50_000 };
    expect(await verdictOn({ visitor: breaksOff })).toEqual({
      kind: "reset",
      reason: "its visitor reset it",
    });
    expect(await verdictOn({ host: breaksOff })).toEqual({ kind: "reset", reason: "its target reset it" });
  });

  it("forgives a clean end only where the process that held the socket was killed", async () => {
    const cut: CutAfterOptions = { bytes: 50_000, direction: "down", how: "fin" };
    const evidence = { visitorBereft: true, hostBereft: true };
    expect(await verdictOn({ cut, evidence })).toEqual({ kind: "reset", reason: "a process was killed" });
  });
});

describe("the tape of the soak", () => {
  const tape = new Tape(3);
  const place = Tape.placeOf(12, "up");
  const said = Buffer.concat([tape.read(place, 0, 65_536), tape.read(place, 65_536, 65_536)]);

  it.each([
    ["a missing byte", Buffer.concat([said.subarray(0, 500), said.subarray(501)]), 500],
    ["a doubled byte", Buffer.concat([said.subarray(0, 501), said.subarray(500)]), 501],
    ["a doubled frame", Buffer.concat([said.subarray(0, 32_768), said.subarray(16_384)]), 32_768],
    ["two frames exchanged", Buffer.concat([said.subarray(16_384, 32_768), said.subarray(0, 16_384)]), 0],
    ["bytes of another connection", Buffer.from(tape.read(Tape.placeOf(13, "up"), 0, 1_000)), 0],
    ["nothing wrong", said, -1],
  ])("shows %s where it is", (_, heard, at) => {
    const found = tape.firstWrong(heard, place, 0);
    // One byte in 256 is by chance the right one.
    expect(found).toBeGreaterThanOrEqual(at);
    expect(found).toBeLessThanOrEqual(at + (at < 0 ? 0 : 3));
  });
});
