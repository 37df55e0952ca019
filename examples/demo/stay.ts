import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import { portOrAny } from "./free-port.ts";
import type { Screen } from "./screen.ts";
import type { Stage } from "./stage.ts";
import { msText } from "./units.ts";

/** The port of the switch that cuts, if it is free. */
const SWITCH_PORT = 7890;

/** Leaves everything running for a person to try, until Ctrl-C. */
export async function stay(stage: Stage, screen: Screen): Promise<void> {
  const { proxy, client, connectUrl, listenUrl } = stage;
  const cut = (): number => proxy.cut({ how: "rst" });
  const lever = createServer((_request, response) => {
    response.end(cut() > 0 ? "cut\n" : "there is nothing to cut at the moment\n");
  }).listen(await portOrAny(SWITCH_PORT), "127.0.0.1");
  await once(lever, "listening");
  const { port } = lever.address() as AddressInfo;

  let lostAt = performance.now();
  client.on("detached", () => {
    lostAt = performance.now();
  });
  client.on("open", () => screen.step(`cut, and back after ${msText(performance.now() - lostAt)}`));
  const keyboard = createInterface({ input: process.stdin }).on("line", cut);
  const stopped = Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);

  const bold = (text: string): string => screen.style("bold", text);
  screen.line(`
Everything keeps running. From another terminal:

  ${bold(`curl ${connectUrl}/`)}    through the CONNECT tunnel to the warehouse
  ${bold(`curl ${listenUrl}/`)}    through the LISTEN tunnel to the workshop

Or something slow, to cut the WebSocket under it; the hash is the same each time:

  ${bold(`curl --limit-rate 5M ${connectUrl}/bytes/100 | sha256sum`)}

To cut: press Enter here, or ${bold(`curl http://127.0.0.1:${port}/cut`)}. Ctrl-C ends it all.
`);
  await Promise.race([stopped, client.failed, stage.server.failed]);
  keyboard.close();
  lever.close();
}
