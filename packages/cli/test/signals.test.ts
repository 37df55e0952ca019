import { EventEmitter } from "node:events";
import { describe, expect, it, vi } from "vitest";
import { Signals } from "../src/signals.ts";

function makeSignals(isOnTerminal = false): { host: EventEmitter; signals: Signals } {
  const host = new EventEmitter();
  return { host, signals: new Signals(host, isOnTerminal) };
}

describe("Signals", () => {
  it.each([
    ["SIGINT", "SIGINT", 130],
    ["SIGTERM", "SIGTERM", 143],
    ["SIGINT", "SIGTERM", 143],
    ["SIGTERM", "SIGINT", 130],
  ])("stops at %s, and at once at a %s after it", async (first, second, exitCode) => {
    const { host, signals } = makeSignals();
    const stopped = signals.stopped;
    expect(signals.stop.aborted).toBe(false);
    host.emit(first);
    expect(await stopped).toBe(first);
    expect(await signals.stopped).toBe(first);
    host.emit(second);
    expect(await signals.forced).toBe(exitCode);
  });

  it("stops at SIGHUP on a terminal, which is gone then", async () => {
    const { host, signals } = makeSignals(true);
    host.emit("SIGHUP");
    expect(await signals.stopped).toBe("SIGHUP");
    host.emit("SIGHUP");
    expect(await signals.forced).toBe(129);
  });

  it("goes on at SIGHUP elsewhere", () => {
    const { host, signals } = makeSignals(false);
    signals.onHangup = vi.fn();
    host.emit("SIGHUP");
    expect(signals.onHangup).toHaveBeenCalledOnce();
    expect(signals.stop.aborted).toBe(false);
  });

  it("asks for a report at SIGUSR2", () => {
    const { host, signals } = makeSignals();
    signals.onReport = vi.fn();
    host.emit("SIGUSR2");
    expect(signals.onReport).toHaveBeenCalledOnce();
  });

  it.each(["uncaughtException", "unhandledRejection"])("hears of an %s", async (event) => {
    const { host, signals } = makeSignals();
    const error = new Error("lost");
    host.emit(event, error);
    expect(await signals.crashed).toBe(error);
  });

  it("leaves nothing behind", () => {
    const { host, signals } = makeSignals();
    expect(host.eventNames()).not.toEqual([]);
    signals.dispose();
    expect(host.eventNames()).toEqual([]);
  });
});
