import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { soon } from "../support/deadline.ts";
import { type CarriedPair, CarriedPairs, storyOf } from "./support/carried-pairs.ts";
import { MIB } from "./support/process-figures.ts";
import { RandomBytes } from "./support/random-bytes.ts";
import { receive, send } from "./support/sockets.ts";
import { MODES } from "./support/tunnel-rig.ts";

const ANSWER_BYTES = 32 * MIB + 5;
const ROUNDS = 20;

describe.each(MODES)("a carried connection of %s", (mode) => {
  let pairs: CarriedPairs;
  beforeEach(async () => {
    pairs = await CarriedPairs.open(mode);
  });
  afterEach(() => pairs[Symbol.asyncDispose]());

  describe.each(["visitor", "service"] as const)("whose %s", (side) => {
    /** The one who acts, and the one at the other end. */
    const ends = async (): Promise<[CarriedPair["visitor"], CarriedPair["service"]]> => {
      const { visitor, service } = await pairs.connect();
      return side === "visitor" ? [visitor, service] : [service, visitor];
    };

    test("sends, ends, and then reads a long answer to its end", async () => {
      const [actor, other] = await ends();
      const question = new RandomBytes(5, MIB);
      const answer = new RandomBytes(6, ANSWER_BYTES);
      const asked = receive(other);
      const answered = receive(actor);

      await send(actor, question);
      actor.end();
      const { sha256 } = await soon(asked, "the end comes through");
      expect(sha256).toBe(question.sha256());
      await send(other, answer);
      other.end();
      expect(await soon(answered, "the answer ends")).toEqual({
        bytes: ANSWER_BYTES,
        sha256: answer.sha256(),
      });
    });

    test("ends without a byte, and is answered", async () => {
      const [actor, other] = await ends();
      const asked = receive(other);
      const answered = receive(actor);
      actor.end();
      expect((await soon(asked, "the end comes through")).bytes).toBe(0);
      other.end("answer");
      expect((await soon(answered, "the answer ends")).bytes).toBe(6);
    });

    test("resets: so it is reset at the other end", async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const [actor, other] = await ends();
        const story = storyOf(other);
        actor.resetAndDestroy();
        expect(await soon(story, "the reset comes through")).toEqual({ events: ["ECONNRESET"], bytes: 0 });
      }
    });

    // A reset overtakes data at every hop that has not read it: some may be missing, but it must not look complete.
    test("resets right behind its data: that is no clean end", async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const [actor, other] = await ends();
        const story = storyOf(other);
        const data = Buffer.alloc(1 + round * 5000, 1);
        await new Promise((resolve) => actor.write(data, resolve));
        actor.resetAndDestroy();
        const { events, bytes } = await soon(story, "the reset comes through");
        expect(events).toEqual(["ECONNRESET"]);
        expect(bytes).toBeLessThanOrEqual(data.length);
      }
    });

    test("ends, and resets in the middle of the answer", async () => {
      const [actor, other] = await ends();
      const asked = receive(other);
      actor.once("data", () => actor.resetAndDestroy());
      actor.end("question");
      expect((await asked).bytes).toBe("question".length);
      const error = await soon(
        send(other, endless()).catch((cause) => cause),
        "the reset comes through",
      );
      // Linux calls it a broken pipe when the reset comes from where the end has come from before.
      expect(["ECONNRESET", "EPIPE"]).toContain((error as NodeJS.ErrnoException).code);
    });
  });
});

function* endless(): Generator<Buffer> {
  for (;;) yield Buffer.alloc(65_536);
}
