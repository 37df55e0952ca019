import { once } from "node:events";
import { connect } from "node:net";
import { parseUsers } from "@culvert/policy";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { freePort } from "../../../test/support/free-port.ts";
import { Server } from "../src/index.ts";
import { listened, portOf } from "./support/asking.ts";
import { helloOf, openSession, type RawSession } from "./support/raw-client.ts";
import { ann, bob, tokenLine } from "./support/tokens.ts";
import { vanish } from "./support/vanishing.ts";

const cat = ann.replaceAll("annannan", "catcatca");
const users = parseUsers(
  JSON.stringify({
    version: 1,
    users: {
      ann: { tokens: [tokenLine(ann)], listen: { allow: ["*:*"] } },
      bob: { tokens: [tokenLine(bob)], listen: { allow: ["*:*"] } },
      cat: { tokens: [tokenLine(cat)], listen: { allow: ["*:*"] }, limits: { listeners: 1 } },
    },
  }),
  "users.json",
);
const server = new Server({ port: 0, drainMs: 0, users });
const held = { closed: "listener_held" };

beforeAll(() => server.start());
afterAll(() => server.close());

async function open(token: string, name = "office"): Promise<RawSession> {
  const session = await openSession(server.address?.url ?? "", helloOf({ name }), { token });
  onTestFinished(() => session.link.close());
  return session;
}

async function isServed(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  return await once(socket, "connect").then(
    () => true,
    () => false,
  );
}

describe("who holds a listener", () => {
  test("T23: another identity is told that it is held: while its client is there, and while it is away", async () => {
    const first = await open(ann);
    const port = portOf((await listened(first, "tcp://127.0.0.1:0")).ready);
    const other = await open(bob);
    for (const host of ["127.0.0.1", "0.0.0.0", "[::]", "localhost"])
      expect(await listened(other, `tcp://${host}:${port}`)).toMatchObject(held);
    expect(await listened(await open(ann, "home"), `tcp://127.0.0.1:${port}`)).toMatchObject(held);
    await vanish(server, first);
    expect(await listened(other, `tcp://127.0.0.1:${port}`)).toMatchObject(held);
    expect(await isServed(port)).toBe(true);
  });

  test("T23: who closes a listener gives it up", async () => {
    const first = await open(ann);
    const answer = await listened(first, "tcp://127.0.0.1:0");
    first.link.closeTunnel(answer.id);
    await answer.over;
    expect(await listened(await open(bob), answer.ready ?? "")).toHaveProperty("ready");
  });

  test("a client that was killed has its own address back at once, and nobody else gets it before", async () => {
    const listen = `tcp://127.0.0.1:${await freePort()}`;
    const first = await open(ann);
    await listened(first, listen);
    await vanish(server, first);
    const other = await open(bob);
    const again = await open(ann); // displaces: its listener is closed now
    expect(await listened(other, listen)).toMatchObject(held);
    expect(await listened(again, listen)).toHaveProperty("ready");
    expect(await listened(other, listen)).toMatchObject(held);
  });

  test("T25: who displaces itself over and over holds no more addresses than it may listen on, and one generation", async () => {
    const ports: string[] = [];
    for (let round = 0; round < 5; round += 1) {
      const { ready } = await listened(await open(cat, "shop"), "tcp://127.0.0.1:0");
      ports.push(ready ?? "");
    }
    const other = await open(bob);
    const answers: (string | undefined)[] = [];
    for (const port of ports) answers.push((await listened(other, port)).closed);
    expect(answers).toEqual([undefined, undefined, undefined, "listener_held", "listener_held"]);
  });

  test("T25: of 50 clients that claim one port at once exactly one gets it, and none is left behind", async () => {
    const port = await freePort();
    const names = Array.from({ length: 50 }, (_, at) => `claimer-${at}`);
    const sessions = await Promise.all(names.map((name, at) => open(at % 2 === 0 ? ann : bob, name)));
    const hosts = ["127.0.0.1", "0.0.0.0", "localhost", "[::]"];
    const answers = await Promise.all(
      sessions.map((session, at) => listened(session, `tcp://${hosts[at % hosts.length]}:${port}`)),
    );
    expect(answers.filter(({ ready }) => ready !== undefined)).toHaveLength(1);
    expect(answers.filter(({ closed }) => closed === "listener_held")).toHaveLength(49);
    for (const { link } of sessions) link.close();
    await Promise.all(sessions.map(({ client }) => client.closed));
    const last = await open(bob, "last");
    expect(await listened(last, `tcp://0.0.0.0:${port}`)).toHaveProperty("ready");
  });
});
