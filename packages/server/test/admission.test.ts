import type { Transport } from "@culvert/peer";
import { decodeHandshake, encodeHello, MemoryPool, type SessionMemory } from "@culvert/protocol";
import { expect, onTestFinished, test, vi } from "vitest";
import { Admission } from "../src/admission.ts";
import { resolveServerOptions } from "../src/server-options.ts";
import { authorityOf } from "./support/authorities.ts";
import { somebody } from "./support/identities.ts";
import { helloOf } from "./support/raw-client.ts";

const KiB = 1024;

/** A transport whose HELLO came; resolves with the type and the code of the answer. */
async function arrive(admission: Admission, name: string): Promise<string> {
  return await new Promise((resolve) => {
    let isAnswered = false;
    const transport: Transport = {
      handler: undefined,
      highWaterBytes: 1e6,
      bufferedBytes: 0,
      send: (frame) => {
        if (isAnswered) return;
        isAnswered = true;
        const answer = decodeHandshake(frame);
        resolve(answer.type === "reject" ? `reject ${answer.reject.code}` : answer.type);
      },
      cork: () => undefined,
      uncork: () => undefined,
      close: () => undefined,
      terminate: () => undefined,
    };
    admission.receive({
      transport,
      identity: somebody(),
      remoteAddress: undefined,
      userAgent: undefined,
      onAdmitted: () => undefined,
    });
    transport.handler?.onMessage(encodeHello(helloOf({ name })));
  });
}

test("who takes a name over while readers hold all the memory may come back later", async () => {
  const admit = vi.spyOn(MemoryPool.prototype, "admit");
  onTestFinished(() => admit.mockRestore());
  const options = resolveServerOptions({ memoryBudgetBytes: 1024 * KiB });
  const admission = new Admission({
    options,
    authority: authorityOf(),
    audit: undefined,
    emit: () => undefined,
  });
  expect(await arrive(admission, "a")).toBe("welcome");
  expect(await arrive(admission, "b")).toBe("welcome");
  const [a, b] = admit.mock.results.map(({ value }) => value as SessionMemory) as [
    SessionMemory,
    SessionMemory,
  ];
  // What streams that ended in good order have unread: it stays after the end of their session.
  b.receive.take(70 * KiB);
  const { free } = a.replay;
  a.replay.take(free);
  expect(await arrive(admission, "b")).toBe("reject resource_exhausted");
  b.receive.take(-70 * KiB);
  a.replay.take(-free);
  expect(await arrive(admission, "b")).toBe("welcome");
  for (const { link } of admission.sessions()) link.close();
  expect(admission.memory.bytes).toBe(0);
});
