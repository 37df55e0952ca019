import type { Server } from "../../src/index.ts";
import { nextEvent } from "./events.ts";
import type { RawSession } from "./raw-client.ts";

/** Cuts the client off without a word, as `kill -9` does; resolves when its session is detached and can be resumed. */
export async function vanish(server: Server, { link, client, welcome }: RawSession): Promise<void> {
  const isMine = ({ session }: { session: { id: string } }): boolean => session.id === welcome.session;
  // A session whose client never said anything ends with its transport.
  const heard = nextEvent(server, "note", isMine);
  link.note("here");
  await heard;
  const detached = nextEvent(server, "session", (event) => isMine(event) && event.current === "detached");
  client.ws.terminate();
  await detached;
}
