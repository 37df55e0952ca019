import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { Culvert } from "./support/culvert.ts";
import { need } from "./support/needed-programs.ts";
import { run } from "./support/program.ts";
import { ScratchDirectory } from "./support/scratch-directory.ts";
import { echoOnce, Service } from "./support/sockets.ts";

const TRACE = ["--log-level", "trace"];

/** What a command that does one thing and ends writes to stdout. */
async function told(...args: string[]): Promise<string> {
  await using command = await Culvert.run(args);
  expect((await command.exit()).code).toBe(0);
  return command.stdout.text.trim();
}

test("T5, T14, E10: users over TLS by token and key, exchanged while it runs, and no secret anywhere", async (context) => {
  need(context, "ps");
  using scratch = new ScratchDirectory();
  await using service = await Service.echo();
  const certs = scratch.file("certs");
  const [tokenFile, keyFile, users] = ["alice.token", "bob.key", "users.yaml"].map((name) =>
    scratch.file(name),
  );
  await told("cert", "ca", certs);
  const pin = JSON.parse(await told("cert", "server", certs, "--host", "127.0.0.1", "--json")).pin as string;
  const rules = { connect: { allow: [`127.0.0.1:${service.port}`] } };
  const alice = { tokens: [await told("token", "new", "--file", tokenFile!)], ...rules };
  const bob = { keys: [await told("key", "new", keyFile!)], ...rules };
  const put = (content: string): void => {
    writeFileSync(`${users}.new`, content);
    renameSync(`${users}.new`, users!);
  };
  put(JSON.stringify({ version: 1, users: { alice, bob } }));
  const asked = ["connect", `127.0.0.1:${service.port}`];
  expect(await told("policy", "check", "--users", users!, "--as", "alice", ...asked)).toMatch(/^allowed: /);

  const tls = ["--tls-cert", `${certs}/server.pem`, "--tls-key", `${certs}/server-key.pem`];
  await using server = await Culvert.server([...tls, "--users", users!, ...TRACE]);
  expect(server.url).toMatch(/^wss:/);
  const tunnel = ["-L", `0:127.0.0.1:${service.port}`, ...TRACE];
  await using byToken = await Culvert.client(server.url, [
    ...["--ca", `${certs}/ca.pem`, "--token-file", tokenFile!],
    ...tunnel,
  ]);
  await using byKey = await Culvert.client(server.url, ["--pin", pin, "--login-key", keyFile!, ...tunnel]);
  for (const client of [byToken, byKey]) await echoOnce(client.tunnelPorts[0]!);

  // Broken: by itself, and when told to. What was read before holds.
  put("version: 1\nusers: { bob: { conect: {} } }\n");
  await server.logged("not read again: what was read before still holds");
  writeFileSync(`${certs}/server.pem`, "garbage");
  server.kill("SIGHUP");
  await server.logged("not read again: what was read before still holds", { nth: 3 });
  for (const client of [byToken, byKey]) await echoOnce(client.tunnelPorts[0]!);

  // Right again, and without alice.
  await told("cert", "server", certs, "--host", "127.0.0.1", "--renew");
  put(JSON.stringify({ version: 1, users: { bob } }));
  expect((await byToken.exit()).code).toBe(77);
  await server.logged("TLS certificate replaced");
  await echoOnce(byKey.tunnelPorts[0]!);
  await using again = await Culvert.client(server.url, ["--pin", pin, "--login-key", keyFile!, ...tunnel]);
  await echoOnce(again.tunnelPorts[0]!);

  const secrets = [readFileSync(tokenFile!, "utf8").trim(), readFileSync(keyFile!, "utf8").split("\n")[1]!];
  const { stdout: processes } = await run("ps", ["-eww", "-o", "pid,args"]);
  expect(processes).toContain(String(server.pid));
  for (const secret of secrets) {
    expect(processes).not.toContain(secret);
    for (const { stdout, stderr } of [server, byToken, byKey, again]) {
      expect(stdout.text + stderr.text).not.toContain(secret);
    }
  }
});
