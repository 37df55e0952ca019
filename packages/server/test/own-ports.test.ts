import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { expect, onTestFinished, test } from "vitest";
import { OwnPorts } from "../src/own-ports.ts";

async function listening(host: string): Promise<{ ports: OwnPorts; port: number; remove: () => void }> {
  const server = createServer();
  const ports = new OwnPorts();
  const remove = ports.add(server);
  expect(ports.has("127.0.0.1", 80)).toBe(false); // it does not listen yet
  server.listen(0, host);
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return { ports, port: (server.address() as AddressInfo).port, remove };
}

test("one address: itself, in every spelling, and the wildcards, which reach it", async () => {
  const { ports, port, remove } = await listening("127.0.0.1");
  for (const address of ["127.0.0.1", "::ffff:127.0.0.1", "::ffff:7f00:1", "0.0.0.0", "::"])
    expect(ports.has(address, port), address).toBe(true);
  for (const address of ["127.0.0.2", "::1", "192.0.2.1"])
    expect(ports.has(address, port), address).toBe(false);
  expect(ports.has("127.0.0.1", port + 1)).toBe(false);
  remove();
  expect(ports.has("127.0.0.1", port)).toBe(false);
});

test("every address: those of the machine, and no others", async () => {
  const { ports, port } = await listening("::");
  const own = Object.values(networkInterfaces()).flatMap((all) => all?.map(({ address }) => address) ?? []);
  for (const address of ["127.0.0.1", "127.1.2.3", "::1", ...own])
    expect(ports.has(address, port), address).toBe(true);
  expect(ports.has("192.0.2.1", port)).toBe(false);
});
