import type { Server, ServerEventOf, ServerEventType } from "../../src/index.ts";

/** The next event of that type that fits. Ask before doing what causes it. */
export function nextEvent<T extends ServerEventType>(
  server: Server,
  type: T,
  fits: (event: ServerEventOf<T>) => boolean = () => true,
): Promise<ServerEventOf<T>> {
  return new Promise((resolve) => {
    const off = server.on(type, (event) => {
      if (!fits(event)) return;
      off();
      resolve(event);
    });
  });
}

/** The next time that a session becomes so. */
export function sessionBecomes(
  server: Server,
  state: ServerEventOf<"session">["current"],
): Promise<ServerEventOf<"session">> {
  return nextEvent(server, "session", ({ current }) => current === state);
}
