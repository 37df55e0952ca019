import { chmodSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { Culvert } from "./support/culvert.ts";
import { need } from "./support/needed-programs.ts";
import { run } from "./support/program.ts";
import { ScratchDirectory } from "./support/scratch-directory.ts";
import { echoOnce, Service } from "./support/sockets.ts";

const TOKEN = "e2e-5f1c8b7a2d9e4c60";
const TRACE = ["--log-level", "trace"];

for (const by of ["--token-file", "CULVERT_TOKEN", "CULVERT_TOKEN_FILE"]) {
  test(`a token by ${by} opens, and is shown nowhere`, async (context) => {
    need(context, "ps");
    using scratch = new ScratchDirectory();
    const file = scratch.file("token");
    writeFileSync(file, `${TOKEN}\n`, { mode: 0o600 });
    const flags = by === "--token-file" ? [by, file, ...TRACE] : TRACE;
    const env = by === "--token-file" ? {} : { [by]: by === "CULVERT_TOKEN" ? TOKEN : file };
    await using service = await Service.echo();
    await using server = await Culvert.run(["server", "--json", "--port", "0", ...flags], { env });
    await server.ready("server");
    const tunnels = ["-L", `0:127.0.0.1:${service.port}`, "-R", `0:127.0.0.1:${service.port}`];
    await using client = await Culvert.run(["client", server.url, "--json", ...tunnels, ...flags], { env });
    await client.allReady(tunnels);
    for (const port of client.tunnelPorts) await echoOnce(port);
    for (const culvert of [server, client]) culvert.kill("SIGUSR2");
    await client.logged("state of the session");
    await server.logged("state of a session");

    const { stdout: processes } = await run("ps", ["-eww", "-o", "pid,args"]);
    expect(processes).toContain(String(client.pid));
    expect(processes).not.toContain(TOKEN);
    for (const culvert of [client, server]) {
      expect((await culvert.end("SIGTERM")).code).toBe(0);
      expect(culvert.stderr.count).toBeGreaterThan(5);
      expect(culvert.stdout.text + culvert.stderr.text).not.toContain(TOKEN);
    }
  });
}

test("a wrong token is not shown either, on neither side", async () => {
  await using server = await Culvert.run(["server", "--json", "--port", "0", ...TRACE], {
    env: { CULVERT_TOKEN: TOKEN },
  });
  await server.ready("server");
  const wrong = `${TOKEN}-wrong`;
  await using client = await Culvert.run(["client", server.url, "-R", "0:h:1", ...TRACE], {
    env: { CULVERT_TOKEN: wrong },
  });
  expect((await client.exit()).code).toBe(77);
  await server.end("SIGTERM");
  expect(client.stderr.text + server.stderr.text).not.toContain(TOKEN);
});

test("a token file that others may read is refused, without a word of what is in it", async () => {
  using scratch = new ScratchDirectory();
  const file = scratch.file("token");
  writeFileSync(file, TOKEN);
  chmodSync(file, 0o644);
  await using server = await Culvert.run(["server", "--token-file", file]);
  expect((await server.exit()).code).toBe(2);
  expect(server.stderr.text).toMatch(/--token-file .*chmod 600/);
  expect(server.stderr.text).not.toContain(TOKEN);
});
