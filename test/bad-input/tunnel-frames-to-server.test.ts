import { ERRORS } from "@culvert/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeReset, FRAME } from "../../packages/protocol/src/frame.ts";
import { readVectors, spelled } from "../../packages/protocol/test/support/vector-file.ts";
import { MuteListener } from "../support/mute-listener.ts";
import { Service } from "../support/service.ts";
import { Attacker, type Field } from "./support/attacker.ts";
import { FRAME_ROWS, type FrameRow, LIMITS } from "./support/frame-rows.ts";
import { RawClient } from "./support/raw-client.ts";
import { Siege } from "./support/siege.ts";

let siege: Siege;
let echo: Service;
let mute: MuteListener;
let field: Field;
beforeAll(async () => {
  siege = await Siege.start({ session: LIMITS });
  echo = await Service.start((visitor) => {
    visitor.socket.on("data", (chunk: Buffer) => {
      if (chunk.toString() === "reset") visitor.reset();
      else visitor.socket.write(chunk);
    });
    visitor.socket.on("end", () => visitor.socket.end());
  });
  mute = await MuteListener.start();
  field = { port: siege.port, echo: echo.address, mute: mute.address };
});
afterAll(async () => {
  await siege[Symbol.asyncDispose]();
  await echo[Symbol.asyncDispose]();
  await mute[Symbol.asyncDispose]();
});

/** Plays a row in a session of its own, and checks how it goes on. */
async function play(row: FrameRow): Promise<void> {
  using client = await RawClient.open(field.port);
  const attacker = new Attacker(client, field);
  await attacker.open(1);
  await attacker.open(3);
  attacker.send(encodeReset(3, "closed"));
  await client.frame(FRAME.reset);
  await row.play(attacker);
  if (row.ends === undefined) {
    // The whole session, not its transport only: a stream that is opened now is answered.
    await client.answers();
    await attacker.open(999);
    client.send(Uint8Array.of(FRAME.close, 0, 0));
  }
  const code = row.ends === undefined || row.ends === "closed" ? undefined : row.ends;
  expect(await client.farewell()).toEqual({ code, close: ERRORS[code ?? "closed"].close });
  expect(siege.others).toEqual([]);
}

describe("4.B: frames in a session", () => {
  test.each(FRAME_ROWS.map((row) => [row.id, row.words, row] as const))("%s %s", async (_id, _words, row) => {
    await siege.witness.during(() => play(row));
  });

  const REJECTS = readVectors("rejects.json").vectors;
  test.each(REJECTS.map((vector) => [vector.name, vector] as const))(
    "B12 vector: %s",
    async (_name, vector) => {
      using client = await RawClient.open(field.port);
      client.send(spelled(vector.message));
      const { code } = await client.farewell();
      expect(code).toBe(vector.code);
    },
  );
});
