import { randomInt } from "node:crypto";
import type { ChaosLog } from "./chaos-events.ts";
import { checkInteger, checkKeys } from "./checked.ts";
import { checkSeed } from "./random.ts";

/** What ChaosProxy.start takes. */
export interface ChaosProxyOptions {
  /** Where each accepted connection is carried to. */
  readonly target: { readonly host: string; readonly port: number };
  /** The address to listen on. Default: "127.0.0.1". */
  readonly host?: string;
  /** The port to listen on; 0 takes a free one, see ChaosProxy.port. Default: 0. */
  readonly port?: number;
  /** An integer from 0 to 2^32 - 1 for jitter, piece sizes and bits. Default: a random one, see ChaosProxy.seed. */
  readonly seed?: number;
  /** Default: silent. */
  readonly log?: ChaosLog;
}

const SILENT: ChaosLog = { debug() {} };

/**
 * Checks the options and fills in the defaults.
 * @throws TypeError or RangeError naming the option.
 */
export function resolveOptions(options: ChaosProxyOptions): Required<ChaosProxyOptions> {
  checkKeys("ChaosProxy", options, ["target", "host", "port", "seed", "log"]);
  return {
    target: {
      host: options.target.host,
      port: checkInteger("target.port", options.target.port, 1, 65_535),
    },
    host: options.host ?? "127.0.0.1",
    port: checkInteger("port", options.port ?? 0, 0, 65_535),
    seed: checkSeed(options.seed ?? randomInt(0x1_0000_0000)),
    log: options.log ?? SILENT,
  };
}
