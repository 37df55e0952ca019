import { describe, expect, test } from "vitest";
import { ServerEvents } from "../src/server-events.ts";

const STATE = { type: "state", previous: "idle", current: "running" } as const;

describe("ServerEvents", () => {
  test("each listener hears its type, until it is taken off", () => {
    const events = new ServerEvents();
    const heard: string[] = [];
    const listener = (): void => void heard.push("twice");
    const off = events.on("state", listener);
    events.on("state", listener);
    events.on("note", () => void heard.push("note"));
    events.emit(STATE);
    expect(heard).toEqual(["twice", "twice"]);
    off();
    off();
    events.emit(STATE);
    expect(heard).toEqual(["twice", "twice", "twice"]);
  });

  test("a listener that is put on or off meanwhile does not disturb the others", () => {
    const events = new ServerEvents();
    const heard: string[] = [];
    const off = events.on("state", () => {
      off();
      events.on("state", () => void heard.push("late"));
      heard.push("first");
    });
    events.on("state", () => void heard.push("second"));
    events.emit(STATE);
    expect(heard).toEqual(["first", "second"]);
  });
});
