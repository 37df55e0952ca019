import { afterEach, describe, expect, test, vi } from "vitest";
import { raiseThreadPool } from "../src/thread-pool.ts";

const peer = vi.hoisted(() => ({ setThreadPoolSize: vi.fn() }));
vi.mock("@culvert/peer", () => peer);

afterEach(() => void peer.setThreadPoolSize.mockClear());

describe("raiseThreadPool", () => {
  test("gives libuv 16 threads", () => {
    const env: Record<string, string | undefined> = {};
    raiseThreadPool(env);
    expect(env).toEqual({ UV_THREADPOOL_SIZE: "16" });
    expect(peer.setThreadPoolSize).toHaveBeenCalledWith(16);
  });

  test.each([
    ["4", 4],
    ["64", 64],
    ["0", 1],
    ["many", 1],
  ])("leaves alone what the environment says: %s", (said, threads) => {
    const env = { UV_THREADPOOL_SIZE: said };
    raiseThreadPool(env);
    expect(env).toEqual({ UV_THREADPOOL_SIZE: said });
    expect(peer.setThreadPoolSize).toHaveBeenCalledWith(threads);
  });
});
