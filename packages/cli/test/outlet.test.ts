import { Writable } from "node:stream";
import { describe, expect, it } from "vitest";
import { Outlet, type Sink, streamSink } from "../src/outlet.ts";
import { Recorder } from "./support.ts";

/** A sink that fails while `error` is set. */
class FailingSink implements Sink {
  queuedBytes = 0;
  text = "";
  error: Error | undefined;

  write(text: string, done: (error?: Error | null) => void): void {
    if (this.error === undefined) this.text += text;
    done(this.error);
  }
}

function makeOutlet(sink: Sink): { outlet: Outlet; troubles: string[] } {
  const troubles: string[] = [];
  const outlet = new Outlet(sink, {
    lostLine: (lines, cause) => `lost ${lines} (${cause})\n`,
    onTrouble: (cause) => troubles.push(cause),
    maxQueuedBytes: 10,
  });
  return { outlet, troubles };
}

const fullDisk = Object.assign(new Error("no space left on device"), { code: "ENOSPC" });

describe("Outlet", () => {
  it("writes lines", () => {
    const sink = new FailingSink();
    const { outlet } = makeOutlet(sink);
    outlet.write("one\n");
    outlet.write("two\n");
    expect(sink.text).toBe("one\ntwo\n");
  });

  it("counts what cannot be written, warns once, and tells how much was lost when it can be again", () => {
    const sink = new FailingSink();
    const { outlet, troubles } = makeOutlet(sink);
    sink.error = fullDisk;
    for (let i = 0; i < 1000; i += 1) outlet.write("lost\n");
    expect(outlet.lost).toBe(1000);
    expect(troubles).toEqual(["ENOSPC"]);

    sink.error = undefined;
    outlet.write("again\n");
    expect(sink.text).toBe("lost 1000 (ENOSPC)\nagain\n");
    expect(outlet.lost).toBe(0);

    sink.error = fullDisk;
    outlet.write("lost\n");
    expect(troubles).toEqual(["ENOSPC", "ENOSPC"]);
  });

  it("keeps a bounded queue for a reader that is slow", () => {
    const sink = new FailingSink();
    const { outlet, troubles } = makeOutlet(sink);
    sink.queuedBytes = 11;
    outlet.write("lost\n");
    outlet.write("lost\n");
    sink.queuedBytes = 10;
    outlet.write("again\n");
    expect(sink.text).toBe("lost 2 (the reader is too slow)\nagain\n");
    expect(troubles).toEqual(["the reader is too slow"]);
  });
});

describe("streamSink", () => {
  it("writes to the stream and knows what waits in it", () => {
    const stream = new Recorder({ highWaterMark: 1 });
    const sink = streamSink(stream);
    stream.cork();
    sink.write("text", () => undefined);
    expect(sink.queuedBytes).toBe(4);
    stream.uncork();
    expect(stream.text).toBe("text");
  });

  it("survives an error of the stream, and every write after it", async () => {
    const stream = new Writable({
      write: (_chunk, _encoding, done) => done(Object.assign(new Error("broken pipe"), { code: "EPIPE" })),
    });
    const { outlet, troubles } = makeOutlet(streamSink(stream));
    outlet.write("one\n");
    await new Promise((resolve) => setImmediate(resolve));
    outlet.write("two\n");
    await new Promise((resolve) => setImmediate(resolve));
    expect(outlet.lost).toBe(2);
    expect(troubles).toEqual(["EPIPE"]);
  });
});
