import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { silentLogger } from "@culvert/peer";
import { expect, test } from "vitest";
import { Door } from "../src/door.ts";
import { Gate } from "../src/gate.ts";
import { OwnEndpoint } from "../src/own-endpoint.ts";
import { OwnPorts } from "../src/own-ports.ts";
import { resolveServerOptions } from "../src/server-options.ts";

test("a start that failed leaves nothing behind; the next one is known by its port", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address() as AddressInfo;
  const options = resolveServerOptions({ port });
  const gate = new Gate({
    authenticators: { authenticate: () => ({ kind: "refused", why: "", answer: { status: 401, text: "" } }) },
    origins: [],
    retryAfterSeconds: () => undefined,
    hasTime: () => true,
  });
  const strangers = { most: 1, mostPerAddress: 1 };
  const door = new Door({ gate, strangers, logger: silentLogger, emit: () => {}, admit: () => {} });
  const ports = new OwnPorts();
  const own = new OwnEndpoint(options, door, ports);
  for (let i = 0; i < 2; i += 1) {
    await expect(own.open()).rejects.toMatchObject({ code: "address_in_use" });
    expect(own).toMatchObject({ isOpen: false, address: undefined });
    expect(ports.size).toBe(0);
  }
  taken.close();
  await once(taken, "close");
  await own.open();
  expect(ports.size).toBe(1);
  expect(ports.has("127.0.0.1", port)).toBe(true);
  await own.close();
  expect(ports.has("127.0.0.1", port)).toBe(false);
});
