import { expect, it } from "vitest";
import { Listeners } from "../src/listeners.ts";

type Told = { readonly type: "a"; readonly value: number } | { readonly type: "b" };

it("tells who asked for the type, in order, until taken off", () => {
  const listeners = new Listeners<Told>();
  const heard: string[] = [];
  const both = (event: Told): void => void heard.push(`both ${event.type}`);
  listeners.on("a", ({ value }) => heard.push(`value ${value}`));
  const off = listeners.on("a", both);
  listeners.on("b", both);
  listeners.tell({ type: "a", value: 1 });
  off();
  off();
  listeners.tell({ type: "a", value: 2 });
  listeners.tell({ type: "b" });
  expect(heard).toEqual(["value 1", "both a", "value 2", "both b"]);
});

it("the same function put on twice is called twice and taken off once", () => {
  const listeners = new Listeners<Told>();
  let calls = 0;
  const count = (): void => {
    calls += 1;
  };
  const off = listeners.on("b", count);
  listeners.on("b", count);
  listeners.tell({ type: "b" });
  off();
  listeners.tell({ type: "b" });
  expect(calls).toBe(3);
});

it("one that is put on while being told hears the next one", () => {
  const listeners = new Listeners<Told>();
  const heard: number[] = [];
  listeners.on("a", () => listeners.on("a", ({ value }) => heard.push(value)));
  listeners.tell({ type: "a", value: 1 });
  expect(heard).toEqual([]);
  listeners.tell({ type: "a", value: 2 });
  expect(heard).toEqual([2]);
});

it("one that is taken off while being told does not disturb the others", () => {
  const listeners = new Listeners<Told>();
  const heard: string[] = [];
  const off = listeners.on("b", () => {
    off();
    heard.push("first");
  });
  listeners.on("b", () => heard.push("second"));
  listeners.tell({ type: "b" });
  listeners.tell({ type: "b" });
  expect(heard).toEqual(["first", "second", "second"]);
});
