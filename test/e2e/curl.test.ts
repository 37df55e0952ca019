import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream, createWriteStream, statSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline } from "node:stream/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Culvert } from "./support/culvert.ts";
import { need } from "./support/needed-programs.ts";
import { MIB } from "./support/process-figures.ts";
import { run } from "./support/program.ts";
import { RandomBytes } from "./support/random-bytes.ts";
import { ScratchDirectory } from "./support/scratch-directory.ts";
import { MODES, TunnelRig } from "./support/tunnel-rig.ts";

const FILE_BYTES = 208 * MIB + 4711;
const scratch = new ScratchDirectory();
const original = scratch.file("original");
let http: Server;
let sha256: string;

beforeAll(async () => {
  const bytes = new RandomBytes(1, FILE_BYTES);
  await pipeline(bytes, createWriteStream(original));
  sha256 = bytes.sha256();
  http = serveFile(original).listen(0, "127.0.0.1");
  await once(http, "listening");
});

afterAll(() => {
  http.close();
  http.closeAllConnections();
  scratch[Symbol.dispose]();
});

describe.each(MODES)("curl through %s", (mode) => {
  test("fetches a file of more than 200 MB", async (context) => {
    need(context, "curl");
    await using rig = await open(mode);
    const copy = scratch.file(`whole${mode}`);
    expect(await curl(rig, "-o", copy)).toMatchObject({ code: 0, stderr: "" });
    expect(await hashOf(copy)).toEqual({ bytes: FILE_BYTES, sha256 });
  });

  test("fetches it as ranges, several at once, and goes on where it stopped", async (context) => {
    need(context, "curl");
    await using rig = await open(mode);
    const copy = scratch.file(`ranges${mode}`);
    const middle = scratch.file(`middle${mode}`);
    const end = scratch.file(`end${mode}`);
    const outcomes = await Promise.all([
      curl(rig, "-r", `0-${FILE_BYTES / 2 - 0.5}`, "-o", copy),
      curl(rig, "-r", "100000000-149999999", "-o", middle),
      curl(rig, "-r", "-1000", "-o", end),
    ]);
    for (const outcome of outcomes) expect(outcome).toMatchObject({ code: 0, stderr: "" });
    expect(await hashOf(middle)).toEqual(await hashOf(original, 100_000_000, 149_999_999));
    expect(await hashOf(end)).toEqual(await hashOf(original, FILE_BYTES - 1000, FILE_BYTES - 1));

    expect(statSync(copy).size).toBeLessThan(FILE_BYTES);
    expect(await curl(rig, "-C", "-", "-o", copy)).toMatchObject({ code: 0, stderr: "" });
    expect(await hashOf(copy)).toEqual({ bytes: FILE_BYTES, sha256 });
  });

  test("sends it", async (context) => {
    need(context, "curl");
    await using rig = await open(mode);
    const { code, stdout } = await curl(rig, "-T", original);
    expect({ code, answer: stdout }).toEqual({ code: 0, answer: sha256 });
  });

  test("is told at once that nobody listens at the target", async (context) => {
    need(context, "curl");
    await using rig = await TunnelRig.open(mode, 1);
    // 52: an empty reply, 56: reset while it waited for one.
    expect([52, 56]).toContain((await curl(rig)).code);
  });
});

test("curl at the tunnel's own address is told what this is", async (context) => {
  need(context, "curl");
  await using server = await Culvert.server();
  const { stdout } = await run("curl", ["-sS", "-w", "\n%{http_code}", `http://127.0.0.1:${server.port}/`]);
  const [status, ...text] = stdout.split("\n").reverse();
  expect(status).toBe("426");
  expect(text.join("\n")).toMatch(/culvert/i);
});

async function open(mode: (typeof MODES)[number]): Promise<TunnelRig> {
  return await TunnelRig.open(mode, (http.address() as AddressInfo).port);
}

/** -f: an HTTP error is an error, too. */
async function curl(rig: TunnelRig, ...args: string[]): Promise<Awaited<ReturnType<typeof run>>> {
  return await run("curl", ["-sSf", ...args, `http://127.0.0.1:${rig.port}/file`]);
}

/** Serves one file, whole or in ranges, and answers a PUT with the hash of what came. */
function serveFile(path: string): Server {
  return createServer((request, response) => {
    if (request.method === "PUT") {
      const hash = createHash("sha256");
      request.on("data", (piece: Buffer) => hash.update(piece));
      request.on("end", () => response.end(hash.digest("hex")));
      return;
    }
    const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
    if (from === undefined || to === undefined) {
      response.writeHead(200, { "content-length": FILE_BYTES, "accept-ranges": "bytes" });
      createReadStream(path).pipe(response);
      return;
    }
    const start = from === "" ? FILE_BYTES - Number(to) : Number(from);
    const end = from === "" || to === "" ? FILE_BYTES - 1 : Number(to);
    response.writeHead(206, {
      "content-length": end - start + 1,
      "content-range": `bytes ${start}-${end}/${FILE_BYTES}`,
    });
    createReadStream(path, { start, end }).pipe(response);
  });
}

async function hashOf(path: string, start = 0, end?: number): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const piece of createReadStream(path, {
    start,
    end,
    highWaterMark: MIB,
  }) as AsyncIterable<Buffer>) {
    hash.update(piece);
    bytes += piece.length;
  }
  return { bytes, sha256: hash.digest("hex") };
}
