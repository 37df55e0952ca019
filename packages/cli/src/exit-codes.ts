import { CulvertError, type ErrorCode } from "@culvert/protocol";
import { UsageError } from "./usage-error.ts";

/** How the command ends. The numbers are those of sysexits.h, so that they collide with no shell's and no signal's. */
export const EXIT = {
  ok: 0,
  denied: 1,
  usage: 2,
  unavailable: 69,
  internal: 70,
  displaced: 75,
  refused: 77,
  hungUp: 129,
  interrupted: 130,
  terminated: 143,
} as const;

/** The table for --help and docs/cli.md. */
export const EXIT_TABLE: readonly (readonly [code: number | string, meaning: string])[] = Object.freeze([
  [EXIT.ok, "stopped as asked, by SIGINT or SIGTERM; or done"],
  [EXIT.denied, "culvert policy check: denied"],
  [EXIT.usage, "a flag, address, token or combination is wrong; nothing started"],
  [EXIT.unavailable, "an address cannot be listened on, or no server was reached"],
  [EXIT.internal, "an internal error; --log-level debug shows the stack"],
  [EXIT.displaced, "another client with the same name took over"],
  [EXIT.refused, "the server refuses this client: token, policy or version"],
  ["129, 130, 143", "a second SIGHUP, SIGINT or SIGTERM ended it at once"],
]);

const BY_CODE: Partial<Readonly<Record<ErrorCode, number>>> = {
  closed: EXIT.ok,
  invalid_option: EXIT.usage,
  bad_address: EXIT.usage,
  address_in_use: EXIT.unavailable,
  listener_held: EXIT.unavailable,
  address_unavailable: EXIT.unavailable,
  address_forbidden: EXIT.unavailable,
  bind_failed: EXIT.unavailable,
  listen_failed: EXIT.unavailable,
  listener_failed: EXIT.unavailable,
  connect_failed: EXIT.unavailable,
  attempts_exhausted: EXIT.unavailable,
  deadline_exhausted: EXIT.unavailable,
  // The retries are off and nobody that speaks Culvert is there: no refusal, nobody refused.
  not_culvert: EXIT.unavailable,
  untrusted_server: EXIT.unavailable,
  displaced: EXIT.displaced,
  unauthorized: EXIT.refused,
  revoked: EXIT.refused,
  forbidden: EXIT.refused,
  refused_by_server: EXIT.refused,
  version_unsupported: EXIT.refused,
};

/** The exit code for whatever ended the command. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT.usage;
  if (error instanceof CulvertError) return BY_CODE[error.code] ?? EXIT.internal;
  return EXIT.internal;
}
