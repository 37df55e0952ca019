import type { Contender } from "../contender.ts";
import type { TargetPorts } from "../targets.ts";
import type { LinkSettings, Tunnel, TunnelSettings } from "../tunnel.ts";
import type { Figure } from "./figure.ts";

/** What a step may use. */
export interface StepContext {
  readonly contender: Contender;
  readonly targets: TargetPorts;
  /** The contender's tunnel of this scenario; started and warm. */
  tunnel(): Promise<Tunnel>;
  /** One of its own, for what changes it; it is stopped afterwards, whatever happens. */
  withTunnel<T>(
    settings: Partial<Omit<TunnelSettings, "peer" | "mode" | "targets">>,
    use: (tunnel: Tunnel) => Promise<T>,
    /** Ends the start of the tunnel, besides {@link signal}. */
    signal?: AbortSignal,
  ): Promise<T>;
  /** The step is out of time, or the run is to end. */
  readonly signal: AbortSignal;
}

/** One figure, or several that are measured at once. */
export interface Step {
  readonly figures: readonly Figure[];
  /** About how long it takes, for the estimate; not what it may take. */
  readonly seconds: number;
  /** May take this long before it counts as failed. */
  readonly maxSeconds: number;
  /** A value for each figure; undefined where there is none for this contender. @throws Error why it failed. */
  run(context: StepContext): Promise<readonly (number | undefined)[]>;
}

/** Steps that share tunnels. */
export interface Scenario {
  readonly name: string;
  /** The link between client and server. Default: none. */
  readonly link?: LinkSettings;
  readonly steps: readonly Step[];
  /** Each step starts tunnels for itself. */
  readonly hasOwnTunnels?: boolean;
  /** What does not vary, or takes long, is measured in the first round only. */
  readonly isOnce?: boolean;
}
