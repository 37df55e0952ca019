import { describe, expect, it } from "vitest";
import { Outlet, streamSink } from "../src/outlet.ts";
import { type Ready, ReadyLines } from "../src/ready-lines.ts";
import { Recorder } from "./support.ts";

const TABLE: readonly (readonly [Ready, string])[] = [
  [
    { ready: "server", url: "ws://127.0.0.1:9000/", auth: "token", allowed: "nothing" },
    "culvert server listening on ws://127.0.0.1:9000/",
  ],
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

  it("is one line of harmless text, whatever a server is called", () => {
    const listen =
      "tcp://h:1\nculvert client connected to wss://forged\r\u001b]0;x\u0007\u009b2J\u007f\u202e\u2028\u061c";
    const ready: Ready = { ready: "tunnel", side: "remote", listen, target: "tcp://db:5432" };
    const [plain, json] = [new Recorder(), new Recorder()];
    const lostLine = (): string => "";
    new ReadyLines(new Outlet(streamSink(plain), { lostLine }), false).tell(ready);
    new ReadyLines(new Outlet(streamSink(json), { lostLine }), true).tell(ready);
    for (const { text } of [plain, json]) {
      expect(text).toMatch(/^[\x20-\x7e]+\n$/);
      expect(text).toContain("\\u009b2J\\u007f\\u202e\\u2028\\u061c");
    }
    expect(JSON.parse(json.text)).toEqual(ready); // a program reads what was meant
  });

  it("is told whole, however long a URL is", () => {
    const url = `ws://h/${"a".repeat(2000)}`;
    const plain = new Recorder();
    new ReadyLines(new Outlet(streamSink(plain), { lostLine: () => "" }), false).tell({
      ready: "server",
      url,
      auth: "token",
      allowed: "nothing",
    });
    expect(plain.text).toBe(`culvert server listening on ${url}\n`);
  });
});
