import { once } from "node:events";
import { parseUsers } from "@culvert/policy";
import { beforeAll, describe, expect, test } from "vitest";
import { Authority, type Issued, pinOf } from "../../../test/support/authority.ts";
import { newToken, Server } from "../src/index.ts";
import { request, upgradeHeaders } from "./support/raw-http.ts";
import { tlsClient } from "./support/tls-client.ts";

describe("T12: a login by certificate, over TLS of the server itself", () => {
  const bobs = newToken();
  let authority: Authority;
  let server: Server;
  let byKey: Issued;

  beforeAll(async () => {
    authority = await Authority.create();
    byKey = await authority.issue({ names: [["dns", "unlisted.example"]] });
    const users = parseUsers(
      `version: 1
users:
  alice: { certificates: ["dns:laptop.example"] }
  bob: { certificates: ["email:bob@mail.example", "uri:spiffe://example/bob"], tokens: ["${bobs.digest}"] }
  carol: { certificates: ["${(await pinOf(byKey)).replace("/", ":")}"] }
  dave: { certificates: ["dns:desk.example"], expires: 2020-01-01T00:00:00Z }`,
      "users",
    );
    const tls = { ...(await authority.issue()), clientCa: authority.pem };
    server = new Server({ port: 0, users, tls, drainMs: 0 });
    await server.start();
    return () => server.close();
  });

  async function statusOf(certificate: Issued, authorization?: string): Promise<number> {
    const socket = await tlsClient(server.address?.port ?? 0, { ...certificate });
    socket.write(request("GET /", upgradeHeaders({ Authorization: authorization })));
    const [head] = (await once(socket, "data")) as [Buffer];
    socket.destroy();
    return Number(head.toString("latin1").split(" ")[1]);
  }

  test("by a name of any kind, and by the key: let in", async () => {
    expect(await statusOf(await authority.issue({ names: [["dns", "Laptop.example"]] }))).toBe(101);
    expect(await statusOf(await authority.issue({ names: [["email", "bob@Mail.example"]] }))).toBe(101);
    expect(await statusOf(await authority.issue({ names: [["url", "spiffe://example/bob"]] }))).toBe(101);
    expect(await statusOf(byKey)).toBe(101);
  });

  test("by the common name only, another name, that of another kind, or after the user's end: refused", async () => {
    const commonName = "laptop.example";
    expect(await statusOf(await authority.issue({ commonName, names: [["dns", "x.example"]] }))).toBe(401);
    expect(await statusOf(await authority.issue({ names: [["dns", "x.laptop.example"]] }))).toBe(401);
    expect(await statusOf(await authority.issue({ names: [["dns", "bob@mail.example"]] }))).toBe(401);
    expect(await statusOf(await authority.issue({ names: [["dns", "desk.example"]] }))).toBe(401);
  });

  test("beside a token: only of the same user", async () => {
    const alices = await authority.issue({ names: [["dns", "laptop.example"]] });
    const bobsOwn = await authority.issue({ names: [["email", "bob@mail.example"]] });
    expect(await statusOf(alices, `Bearer ${bobs.text}`)).toBe(401);
    expect(await statusOf(bobsOwn, `Bearer ${bobs.text}`)).toBe(101);
    expect(
      await statusOf(
        await authority.issue({
          names: [
            ["dns", "laptop.example"],
            ["email", "bob@mail.example"],
          ],
        }),
      ),
    ).toBe(401);
  });
});
