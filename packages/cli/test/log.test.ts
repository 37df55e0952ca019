import { describe, expect, it } from "vitest";
import { createLog, LOG_LEVELS, type LogOptions } from "../src/log.ts";
import type { Sink } from "../src/outlet.ts";
import { Secrets } from "../src/secrets.ts";

class Lines implements Sink {
  readonly queuedBytes = 0;
  text = "";
  error: Error | undefined;

  write(text: string, done: (error?: Error | null) => void): void {
    if (this.error === undefined) this.text += text;
    done(this.error);
  }

  get all(): string[] {
    return this.text.split("\n").slice(0, -1);
  }
}

function makeLog(options: Partial<LogOptions> = {}): { log: ReturnType<typeof createLog>; lines: Lines } {
  const lines = new Lines();
  return { log: createLog({ level: "info", format: "json", color: false, sink: lines, ...options }), lines };
}

describe("createLog", () => {
  it("writes one JSON object a line", () => {
    const { log, lines } = makeLog();
    log.child({ session: "s1" }).child({ stream: 3 }).info({ bytes: 7 }, "stream done");
    const line = JSON.parse(lines.text) as Record<string, unknown>;
    expect(line).toEqual({
      level: "info",
      time: line.time,
      session: "s1",
      stream: 3,
      bytes: 7,
      msg: "stream done",
    });
    expect(line.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  it.each(LOG_LEVELS)("at level %s writes that and what is graver", (level) => {
    const { log, lines } = makeLog({ level });
    for (const each of LOG_LEVELS) log[each]({}, each);
    const written = lines.all.map((line) => (JSON.parse(line) as { level: string }).level);
    expect(written).toEqual(LOG_LEVELS.slice(LOG_LEVELS.indexOf(level)));
  });

  it("writes for people", () => {
    const { log, lines } = makeLog({ format: "pretty" });
    log.child({ session: "s1" }).warn({ code: "peer_silent" }, "session detached");
    expect(lines.text).toMatch(
      /^\[\d\d:\d\d:\d\d\.\d{3}\] WARN: session detached session=s1 code=peer_silent\n$/,
    );
    const colored = makeLog({ format: "pretty", color: true });
    colored.log.info({}, "hello");
    expect(colored.lines.text).toContain("\u001b[32mINFO\u001b[39m");
  });

  it.each(["json", "pretty"] as const)("as %s: one line a call, whatever strangers write", (format) => {
    const { log, lines } = makeLog({ format });
    for (const name of ["a\nb", "\u001b]0;x\u0007", "\u202e", "\u009b2J", "\u2028", "x".repeat(65_536)]) {
      lines.text = "";
      log.child({ client: name }).info({ name, nested: { name } }, name);
      expect(lines.all).toHaveLength(1);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there.
      expect(lines.text.slice(0, -1)).not.toMatch(/[\x00-\x1f\x7f-\x9f\u202e\u2028]/);
      expect(lines.text.length).toBeLessThan(2500);
    }
  });

  it("blots out secrets wherever they are", () => {
    const secret = 'sEcret-"with\\quotes-0123';
    for (const format of ["json", "pretty"] as const) {
      const { log, lines } = makeLog({ format, level: "trace", secrets: new Secrets([secret, ""]) });
      log
        .child({ token: secret })
        .error({ error: new Error(secret), url: `ws://h/?t=${secret}` }, `got ${secret}`);
      expect(lines.text).toContain("[secret]");
      expect(lines.text).not.toContain("sEcret");
    }
  });

  it("blots out a secret before it cuts a long text", () => {
    const secret = "0123456789abcdef".repeat(20);
    const { log, lines } = makeLog({ secrets: new Secrets([secret]) });
    log.info({ header: `Bearer ${secret}`, nested: [{ secret }] }, "sent");
    expect(JSON.parse(lines.text)).toMatchObject({
      header: "Bearer [secret]",
      nested: [{ secret: "[secret]" }],
    });
  });

  it.each(["e", "1", "i", "info", ":", "msg", "level"])(
    "a short secret such as %j spoils no line",
    (secret) => {
      const { log, lines } = makeLog({ secrets: new Secrets([secret]) });
      log.info({ level1: secret, e: "hello", port: 1 }, "information");
      const { time, ...line } = JSON.parse(lines.text) as Record<string, unknown>;
      expect(time).toMatch(/^\d{4}-/);
      // Where it stands alone it is hidden; as a part of words it would only show where it is.
      expect(line).toEqual({ level: "info", level1: "[secret]", e: "hello", port: 1, msg: "information" });
      const pretty = makeLog({ format: "pretty", secrets: new Secrets([secret]) });
      pretty.log.info({ a: 1 }, "hello");
      expect(pretty.lines.text).toMatch(/ INFO: hello a=1\n$/);
    },
  );

  it("writes for people so that no value passes for another field", () => {
    const { log, lines } = makeLog({ format: "pretty" });
    const forged = 'x" code="ok" remoteAddress="10.0.0.1';
    log.info(
      {
        client: forged,
        session: "x code=ok",
        "a b=c": 1,
        slash: "a\\",
        both: 'a\\" b=c',
        empty: "",
        path: "c:\\x",
        error: new Error(forged),
      },
      "session attached",
    );
    expect(lines.text.replace(/^.* INFO: /, "")).toBe(
      [
        "session attached",
        'client="x\\" code=\\"ok\\" remoteAddress=\\"10.0.0.1"',
        'session="x code=ok"',
        '"a b=c"=1',
        "slash=a\\",
        'both="a\\\\\\" b=c"',
        'empty=""',
        "path=c:\\x",
        'error="x\\" code=\\"ok\\" remoteAddress=\\"10.0.0.1"\n',
      ].join(" "),
    );
  });

  it("shows stacks at debug level only", () => {
    for (const [level, shown] of [
      ["info", false],
      ["debug", true],
    ] as const) {
      const { log, lines } = makeLog({ level });
      log.error({ error: new Error("broken") }, "internal error");
      expect(lines.text.includes("    at ")).toBe(shown);
    }
  });

  it("does not let one message flood it, and says how many lines it left out", () => {
    let now = 0;
    const { log, lines } = makeLog({ level: "debug", now: () => now });
    for (let i = 0; i < 10_000; i += 1) log.child({ i }).warn({ i }, "bad hello");
    log.warn({}, "another");
    expect(lines.all).toHaveLength(201);
    now = 1000;
    log.warn({}, "bad hello");
    expect(JSON.parse(lines.all.at(-1)!)).toMatchObject({ msg: "bad hello", suppressed: 9800 });
    lines.text = "";
    for (let i = 0; i < 300; i += 1) log.debug({}, "frame");
    expect(lines.all).toHaveLength(300);
  });

  it.each(["json", "pretty"] as const)("as %s: says how many lines a full disk cost", (format) => {
    const { log, lines } = makeLog({ format });
    lines.error = Object.assign(new Error("full"), { code: "ENOSPC" });
    for (let i = 0; i < 5; i += 1) log.info({}, `line ${i}`);
    lines.error = undefined;
    log.info({}, "again");
    expect(lines.all).toHaveLength(2);
    expect(lines.all[0]).toMatch(/log lines were lost/);
    expect(lines.all[0]).toMatch(/"lost":5,"cause":"ENOSPC"| lost=5 cause=ENOSPC/);
    expect(lines.all[1]).toContain("again");
  });
});
