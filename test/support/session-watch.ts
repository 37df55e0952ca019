import type { Server, ServerEventOf, SessionState } from "@culvert/server";
import { EventPath } from "./event-path.ts";

/** What becomes of the sessions of a server, from now on: of all of them together. */
export class SessionWatch extends EventPath<SessionState, ServerEventOf<"session">> {
  constructor(server: Server) {
    super("server's sessions", (listener) => server.on("session", listener));
  }
}
