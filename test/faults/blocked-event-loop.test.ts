import { describe, expect, it } from "vitest";
import { CarryingProcesses } from "./support/carrying-processes.ts";

const BLOCKED_MS = 5000;

/** With a time-out far beyond the block, and with one that is over long before it is. */
const SESSIONS = [
  ["defaults", {}],
  ["a silence time-out of 2 s", { pingIntervalMs: 800, silenceMs: 2000 }],
] as const;

describe.concurrent("an event loop that stands still for 5 s", () => {
  it.each(SESSIONS)("at the client, with %s: it reads before it judges", async (_name, session) => {
    await using processes = await CarryingProcesses.start({ session });
    await processes.client.ask("block", BLOCKED_MS);
    await processes.moves();
    await processes.settle();
    const [atClient, atServer] = await processes.detachments();
    expect(atClient?.filter((code) => code === "peer_silent")).toEqual([]);
    // The server heard nothing for 5 s: with defaults that is nothing, otherwise it is a resume, and one only.
    expect(atServer).toEqual("silenceMs" in session ? ["peer_silent"] : []);
    expect(await processes.client.ask("stats")).toMatchObject({ sessions: 1 });
    expect(await processes.server.ask("stats")).toMatchObject({ sessions: 1, attached: 1 });
  });

  it.each(SESSIONS)("at the server, with %s: it reads before it judges", async (_name, session) => {
    await using processes = await CarryingProcesses.start({ session });
    await processes.server.ask("block", BLOCKED_MS);
    await processes.moves();
    await processes.settle();
    const [atClient, atServer] = await processes.detachments();
    expect(atServer?.filter((code) => code === "peer_silent")).toEqual([]);
    if (!("silenceMs" in session)) expect([atClient, atServer]).toEqual([[], []]);
    expect(await processes.client.ask("stats")).toMatchObject({ sessions: 1 });
    expect(await processes.server.ask("stats")).toMatchObject({ sessions: 1, attached: 1 });
  });
});
