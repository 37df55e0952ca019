import { describe, expect, test } from "vitest";
import { CulvertError } from "../src/errors.ts";
import { resolveSessionOptions, SESSION_DEFAULTS, type SessionOptions } from "../src/session-options.ts";

type Name = keyof SessionOptions;
const names = Object.keys(SESSION_DEFAULTS) as Name[];

/** The smallest and the largest legal value of each option. */
const BOUNDS: Readonly<Record<Name, readonly [number, number]>> = {
  maxStreams: [1, 1_048_576],
  maxPendingOpens: [1, 1_048_576],
  maxTunnels: [0, 65_536],
  initialWindowBytes: [1, 16_777_216],
  firstWindowBytes: [1, 1_073_741_824],
  maxWindowBytes: [1, 1_073_741_824],
  unusedWindowMs: [0, 2 ** 31 - 1],
  receiveBudgetBytes: [0, 1_099_511_627_776],
  replayLimitBytes: [1024, 1_099_511_627_776],
  replayReserveBytes: [2048, 1_099_511_627_776],
  writeHighWaterBytes: [1, 1_073_741_824],
  maxPayloadBytes: [1, 65_536],
  graceMs: [0, 2_147_483_647],
  visitorWaitMs: [0, 2_147_483_647],
  maxWaitingOpens: [0, 1_048_576],
  openTimeoutMs: [1, 2_147_483_647],
  pingIntervalMs: [1, 2_147_483_647],
  silenceMs: [1, 2_147_483_647],
  maxGlitchesPerMinute: [1, 2 ** 30],
  idleTimeoutMs: [0, 2 ** 31 - 1],
  halfClosedTimeoutMs: [0, 2 ** 31 - 1],
  stallMs: [1, 2_147_483_647],
};

function message(given: object): string {
  try {
    resolveSessionOptions(given as Partial<SessionOptions>, "session.");
  } catch (error) {
    expect(error).toBeInstanceOf(CulvertError);
    expect((error as CulvertError).code).toBe("invalid_option");
    return (error as CulvertError).message;
  }
  return "accepted";
}

/** Other options that let `name` take `value` without breaking a relation. */
function company(name: Name, value: number): Partial<SessionOptions> {
  const small = { initialWindowBytes: 1, firstWindowBytes: 1, maxWindowBytes: 1 };
  const large = { firstWindowBytes: 2 ** 30, maxWindowBytes: 2 ** 30 };
  if (name === "silenceMs") return { pingIntervalMs: value === 1 ? 1 : 1000 };
  if (name === "pingIntervalMs") return { silenceMs: 2_147_483_647 };
  if (name === "initialWindowBytes") return large;
  return name.endsWith("WindowBytes") ? (value === 1 ? small : large) : {};
}

describe("session options", () => {
  test("are the defaults when nothing is given, and frozen", () => {
    expect(resolveSessionOptions()).toEqual(SESSION_DEFAULTS);
    expect(resolveSessionOptions({})).toEqual(SESSION_DEFAULTS);
    expect(Object.isFrozen(resolveSessionOptions())).toBe(true);
    expect(Object.isFrozen(SESSION_DEFAULTS)).toBe(true);
  });

  test("take what is given, and only that", () => {
    const options = resolveSessionOptions({ graceMs: 5 });
    expect(options).toEqual({ ...SESSION_DEFAULTS, graceMs: 5 });
  });

  test("an option that is undefined is an option that is not given", () => {
    const given = { graceMs: undefined } as unknown as Partial<SessionOptions>;
    expect(resolveSessionOptions(given)).toEqual(SESSION_DEFAULTS);
  });

  test("each option has bounds in this table", () => {
    expect(Object.keys(BOUNDS).sort()).toEqual([...names].sort());
  });

  test.each(names)("%s has both its bounds, each inclusive and named in the error", (name) => {
    const [min, max] = BOUNDS[name];
    for (const value of [min, max]) {
      // 1 ms of silence has no ping interval below it.
      if (name === "silenceMs" && value === 1) continue;
      if (name === "pingIntervalMs" && value === max) continue;
      expect(message({ ...company(name, value), [name]: value }), `${value}`).toBe("accepted");
    }
    for (const value of [min - 1, max + 1]) {
      expect(message({ [name]: value })).toBe(
        `an option is not valid: session.${name} must be an integer from ${min} to ${max}, not ${value}`,
      );
    }
  });

  test.each(names)("%s must be an integer", (name) => {
    const [min] = BOUNDS[name];
    for (const value of [min + 0.5, Number.NaN, Number.POSITIVE_INFINITY, `${min + 1}`, true, {}, [], 5n]) {
      expect(message({ [name]: value })).toContain(`session.${name} must be an integer from`);
    }
  });

  test.each(["maxstreams", "max_streams", "toString", "constructor", "", " graceMs"])(
    "%s is not an option",
    (name) => {
      expect(message({ [name]: 1 })).toBe(`an option is not valid: there is no option session.${name}`);
    },
  );

  test("__proto__ as a key of its own is not an option either", () => {
    expect(message(JSON.parse('{"__proto__":1}') as object)).toContain(
      "there is no option session.__proto__",
    );
  });

  test("windows must not shrink as they grow up", () => {
    expect(message({ firstWindowBytes: 2048, initialWindowBytes: 1024, maxWindowBytes: 2047 })).toContain(
      "session.firstWindowBytes must not exceed maxWindowBytes",
    );
    expect(message({ initialWindowBytes: 256 * 1024 + 1 })).toContain(
      "session.initialWindowBytes must not exceed firstWindowBytes",
    );
    expect(message({ initialWindowBytes: 512, firstWindowBytes: 512, maxWindowBytes: 512 })).toBe("accepted");
  });

  test("silence must last longer than the time between pings, by a margin", () => {
    expect(message({ pingIntervalMs: 25_000 })).toContain(
      "session.silenceMs must be longer than pingIntervalMs",
    );
    expect(message({ silenceMs: 14_999 })).toContain("session.silenceMs must be longer than pingIntervalMs");
    expect(message({ silenceMs: 15_000 })).toBe("accepted");
    expect(message({ pingIntervalMs: 3, silenceMs: 4 })).toContain("at least one and a half times as long");
    expect(message({ pingIntervalMs: 3, silenceMs: 5 })).toBe("accepted");
  });

  test("the given object is not changed and not kept", () => {
    const given = { graceMs: 5 };
    const options = resolveSessionOptions(given);
    given.graceMs = 6;
    expect(options.graceMs).toBe(5);
  });
});
