import type { CONNECT, LISTEN } from "@culvert/client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../support/deadline.ts";
import { OpenHandles } from "../support/open-handles.ts";
import { SeededSink } from "../support/seeded-sink.ts";
import { SeededSource } from "../support/seeded-source.ts";
import { Service } from "../support/service.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";
import { MODES, TunnelFixture } from "../support/tunnel-fixture.ts";
import { WireEnd } from "../support/wire-end.ts";

const MEGABYTE = 1024 * 1024;

let handles: OpenHandles;
beforeEach(() => {
  handles = new OpenHandles();
});
afterEach(() => handles.gone());

/** A connection through a tunnel, seen from both of its ends. */
interface Carried extends AsyncDisposable {
  readonly fixture: TunnelFixture;
  readonly visitor: WireEnd;
  readonly target: WireEnd;
}

async function carry(mode: typeof CONNECT | typeof LISTEN, listen?: string, at?: string): Promise<Carried> {
  const service = await Service.start(undefined, at);
  const fixture = await TunnelFixture.start();
  const tunnel = await fixture.open(mode, service.address, listen);
  const visitor = await WireEnd.connect(tunnel.address);
  const target = await service.next();
  const close = async (): Promise<void> => {
    visitor.socket.destroy();
    await fixture[Symbol.asyncDispose]();
    await service[Symbol.asyncDispose]();
  };
  return { fixture, visitor, target, [Symbol.asyncDispose]: close };
}

/** Each direction, as which end does the one thing and which the other. */
const ENDS = [
  ["visitor", "target"],
  ["target", "visitor"],
] as const;

describe.each(MODES)("%s: ends in good order", (mode) => {
  it.each(ENDS)(
    "1 MB from the %s, which then closes: the %s reads all of it and the end",
    async (from, to) => {
      await using carried = await carry(mode);
      const sink = new SeededSink(carried[to].socket, 1);
      new SeededSource(carried[from].socket, 1, MEGABYTE);
      expect(await sink.whole).toBe(MEGABYTE);
      carried[to].socket.end();
      expect(await carried[from].closed()).toBe("end");
      expect(await carried[to].closed()).toBe("end");
      await carried.fixture.quiet();
    },
  );

  it.each(ENDS)("the %s sends and ends, then reads a long answer of the %s", async (asks, answers) => {
    await using carried = await carry(mode);
    const sink = new SeededSink(carried[asks].socket, 2);
    carried[asks].socket.end("a question");
    expect(await carried[answers].ended()).toBe("end");
    expect(carried[answers].text).toBe("a question");
    new SeededSource(carried[answers].socket, 2, 8 * MEGABYTE);
    expect(await sink.whole).toBe(8 * MEGABYTE);
    expect(await carried[asks].closed()).toBe("end");
    expect(await carried[answers].closed()).toBe("end");
    await carried.fixture.quiet();
  });

  it.each(ENDS)("the %s ends without a byte, and the %s goes on talking", async (ends, talks) => {
    await using carried = await carry(mode);
    carried[ends].socket.end();
    expect(await carried[talks].ended()).toBe("end");
    for (let n = 1; n <= 20; n += 1) {
      carried[talks].socket.write(`${n % 10}`);
      await carried[ends].read(n);
    }
    carried[talks].socket.end();
    expect(await carried[ends].closed()).toBe("end");
    expect(carried[ends].text).toBe("12345678901234567890");
    await carried.fixture.quiet();
  });

  it("both end at the same moment, with and without data", async () => {
    for (const text of ["", "the last word"]) {
      await using carried = await carry(mode);
      carried.visitor.socket.end(text);
      carried.target.socket.end(text);
      expect(await carried.visitor.closed()).toBe("end");
      expect(await carried.target.closed()).toBe("end");
      expect([carried.visitor.text, carried.target.text]).toEqual([text, text]);
      await carried.fixture.quiet();
    }
  });

  it("over Unix sockets too: a question, its end, an answer", async () => {
    using folder = new TemporaryFolder();
    await using carried = await carry(mode, folder.socket(), folder.socket());
    carried.visitor.socket.end("a question");
    expect(await carried.target.ended()).toBe("end");
    carried.target.socket.end("an answer");
    expect(await carried.visitor.closed()).toBe("end");
    expect(carried.visitor.text).toBe("an answer");
    await carried.fixture.quiet();
  });
});

describe.each(MODES)("%s: breaks", (mode) => {
  it.each(ENDS)("a RST of the %s arrives as a RST at the %s", async (breaks, other) => {
    await using carried = await carry(mode);
    carried.visitor.socket.write("hello");
    await carried.target.read(5);
    carried[breaks].reset();
    expect(await carried[other].closed()).toBe("ECONNRESET");
    await carried.fixture.quiet();
  });

  it.each(ENDS)(
    "also when the %s sends data right before it, which the %s may get",
    async (breaks, other) => {
      for (let n = 0; n < 20; n += 1) {
        await using carried = await carry(mode);
        carried[breaks].socket.write(Buffer.alloc(1 + n * 5000), () => carried[breaks].reset());
        expect(await carried[other].closed()).toBe("ECONNRESET");
        await carried.fixture.quiet();
      }
    },
  );

  it.each(ENDS)(
    "a RST of the %s in the middle of a bulk transfer of the %s stops its sender",
    async (breaks, other) => {
      await using carried = await carry(mode);
      const source = new SeededSource(carried[other].socket, 3);
      await carried[breaks].read(MEGABYTE);
      carried[breaks].reset();
      // Who is writing hears it as one of these, as without a tunnel.
      expect(["ECONNRESET", "EPIPE"]).toContain(await carried[other].closed());
      await expect(source.done).rejects.toThrow();
      await carried.fixture.quiet();
    },
  );

  it.each(ENDS)("a RST of the %s after the end of the %s was read is still a RST", async (breaks, other) => {
    await using carried = await carry(mode);
    carried[other].socket.end("done");
    expect(await carried[breaks].ended()).toBe("end");
    carried[breaks].reset();
    expect(await carried[other].closed()).toBe("ECONNRESET");
    await carried.fixture.quiet();
  });

  it.each(ENDS)(
    "a RST of the %s behind its own end: the %s gets everything and hears it when it writes",
    async (breaks, other) => {
      await using carried = await carry(mode);
      carried[breaks].socket.end("all that there is");
      expect(await carried[other].ended()).toBe("end");
      carried[breaks].reset();
      await writesUntilClosed(carried[other]);
      expect(carried[other].text).toBe("all that there is");
      expect(["ECONNRESET", "EPIPE"]).toContain(await carried[other].closed());
      await carried.fixture.quiet();
    },
  );

  it.each(ENDS)(
    "whatever the %s does behind its end, an end that the %s reads has everything before it",
    async (breaks, other) => {
      for (const size of [1, 9000, 300_000, 2 * MEGABYTE]) {
        await using carried = await carry(mode);
        const sink = new SeededSink(carried[other].socket, size);
        const source = new SeededSource(carried[breaks].socket, size, size);
        // All of it is with the kernel, which throws it away if it has not sent it.
        await source.done;
        carried[breaks].reset();
        const got = await sink.whole.catch(() => "reset");
        expect([size, "reset"]).toContain(got);
        carried[other].socket.destroy();
        await carried.fixture.quiet();
      }
    },
  );

  it.each(ENDS)(
    "a Unix socket that the %s closes is closed for the %s too when it writes",
    async (breaks, other) => {
      using folder = new TemporaryFolder();
      await using carried = await carry(mode, folder.socket(), folder.socket());
      carried.visitor.socket.write("hello");
      await carried.target.read(5);
      carried[breaks].socket.destroy();
      await writesUntilClosed(carried[other]);
      expect(["ECONNRESET", "EPIPE"]).toContain(await carried[other].closed());
      await carried.fixture.quiet();
    },
  );
});

/** A socket whose end was read is not polled: only a write finds out that the other side is gone. */
async function writesUntilClosed({ socket }: WireEnd): Promise<void> {
  await until(() => {
    if (!socket.destroyed) socket.write("into the void");
    return socket.destroyed;
  }, "a write fails");
}
