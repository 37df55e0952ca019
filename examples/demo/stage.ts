import { randomBytes } from "node:crypto";
import { ChaosProxy } from "@culvert/chaos";
import { Actor } from "./actor.ts";
import type { Ready } from "./messages.ts";
import type { Screen } from "./screen.ts";

/** Everybody who takes part, in place and ready. */
export interface Stage {
  readonly server: Actor;
  readonly client: Actor;
  readonly proxy: ChaosProxy;
  /** Where visitors find the CONNECT tunnel, at the client, and the LISTEN tunnel, at the server. */
  readonly connectUrl: string;
  readonly listenUrl: string;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface StageOptions {
  readonly connectPort: number;
  readonly listenPort: number;
  readonly screen: Screen;
}

/** Starts the processes and opens the tunnels. @throws Error when one of them cannot start. */
export async function setStage({ connectPort, listenPort, screen }: StageOptions): Promise<Stage> {
  const token = randomBytes(32).toString("base64url");
  await using started = new AsyncDisposableStack(); // closes in reverse order, also when something here fails

  const server = started.use(new Actor("server", new URL("./server-process.ts", import.meta.url), { token }));
  const at = await server.next("ready");
  screen.step(`${running(screen, "server", at)}; only it reaches the warehouse`);

  const proxy = started.use(await ChaosProxy.start({ target: { host: "127.0.0.1", port: at.port! } }));
  const client = started.use(
    new Actor("client", new URL("./client-process.ts", import.meta.url), {
      token,
      serverUrl: `ws://127.0.0.1:${proxy.port}`,
      target: `127.0.0.1:${at.servicePort}`,
      connectPort,
      listenPort,
    }),
  );
  const { connectUrl, listenUrl, ...rest } = await client.next("ready");
  screen.step(`${running(screen, "client", rest)}; only it reaches the workshop`);
  screen.step(
    `between the two: ${screen.style("bold", "one WebSocket")}, through a proxy that means no good`,
  );
  const all = started.move();
  return {
    server,
    client,
    proxy,
    connectUrl: connectUrl!,
    listenUrl: listenUrl!,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

function running(screen: Screen, name: string, { pid }: Ready): string {
  return `the ${screen.style("bold", name)} runs (process ${pid})`;
}
