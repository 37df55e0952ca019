import { describe, expect, it } from "vitest";
import { Outlet, streamSink } from "../src/outlet.ts";
import { type Ready, ReadyLines } from "../src/ready-lines.ts";
import { Recorder } from "./support.ts";

const TABLE: readonly (readonly [Ready, string])[] = [
  [{ ready: "server", url: "ws://127.0.0.1:9000/" }, "culvert server listening on ws://127.0.0.1:9000/"],
  [{ ready: "client", server: "wss://host2/tunnel" }, "culvert client connected to wss://host2/tunnel"],
  [
    { ready: "tunnel", side: "local", listen: "tcp://127.0.0.1:8080", target: "tcp://db:5432" },
    "tunnel local tcp://127.0.0.1:8080 -> tcp://db:5432 ready",
  ],
  [
    { ready: "tunnel", side: "remote", listen: "tcp://0.0.0.0:8022", target: "unix:///run/a.sock" },
    "tunnel remote tcp://0.0.0.0:8022 -> unix:///run/a.sock ready",
  ],
];

describe("ReadyLines", () => {
  it.each(TABLE)("tells %j", (ready, sentence) => {
    const [plain, json] = [new Recorder(), new Recorder()];
    const lostLine = (): string => "";
    new ReadyLines(new Outlet(streamSink(plain), { lostLine }), false).tell(ready);
    new ReadyLines(new Outlet(streamSink(json), { lostLine }), true).tell(ready);
    expect(plain.text).toBe(`${sentence}\n`);
    expect(json.lines.map((line) => JSON.parse(line) as unknown)).toEqual([ready]);
  });
});
