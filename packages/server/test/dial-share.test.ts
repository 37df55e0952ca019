import type { LookupFunction } from "node:net";
import { expect, test } from "vitest";
import { Server } from "../src/index.ts";
import { held } from "./support/asking.ts";
import { EchoService } from "./support/echo-service.ts";
import { helloOf, openSession } from "./support/raw-client.ts";

test("a session that dials where nobody answers leaves dials to the others", async () => {
  const lookup: LookupFunction = () => undefined; // never answers
  await using server = new Server({ port: 0, drainMs: 0, maxDials: 100, lookup });
  await server.start();
  await using echo = await EchoService.start();
  const url = server.address?.url ?? "";
  const greedy = await openSession(url, helloOf({ name: "greedy" }));
  const victim = await openSession(url, helloOf({ name: "victim" }));
  let refused = 0;
  for (let n = 0; n < 200; n += 1) {
    void held(greedy, `tcp://${n}.test:1`).then((code) => {
      if (code === "resource_exhausted") refused += 1;
    });
  }
  // A quarter of all are under way.
  await expect.poll(() => refused).toBe(175);
  expect(await held(victim, `tcp://127.0.0.1:${echo.port}`)).toBe("accepted");
  greedy.link.close();
  victim.link.close();
});
