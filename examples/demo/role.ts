import { once } from "node:events";
import type { Message, Script, Stats } from "./messages.ts";

/** What a process of the demo does: it runs, it can be looked at, and it can be closed. */
export interface Role {
  readonly ready: Message;
  stats(): Pick<Stats, "sessions" | "link">;
  close(): Promise<void>;
}

/** The other end of an {@link Actor}: waits for the script, plays, and ends when told to or when the conductor is gone. */
export async function play(start: (script: Script) => Promise<Role>): Promise<void> {
  // Ctrl-C in a terminal reaches every process; only the conductor decides what becomes of it.
  process.on("SIGINT", () => undefined);
  const [script] = (await once(process, "message")) as [Script];
  const role = await start(script);
  const end = async (): Promise<void> => {
    await role.close();
    process.exit();
  };
  process.on("disconnect", end);
  process.on("message", (message) => {
    if (message === "stats") tell({ type: "stats", ...role.stats(), rssBytes: process.memoryUsage.rss() });
    if (message === "close") void end();
  });
  tell(role.ready);
}

export function tell(message: Message): void {
  if (process.connected) process.send!(message);
}
