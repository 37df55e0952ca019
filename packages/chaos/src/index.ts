export type { ConnectionInfo, ConnectionState } from "./chaos-connection.ts";
export type { ChaosEvents, ChaosLog, ChaosStats, Cut, DirectionTotals } from "./chaos-events.ts";
export type { ChaosProxyOptions } from "./chaos-options.ts";
export {
  type ChaosKind,
  ChaosPlan,
  type ChaosStep,
  type RandomPlanOptions,
  type Range,
} from "./chaos-plan.ts";
export { ChaosProxy } from "./chaos-proxy.ts";
export type { ChaosReport } from "./chaos-run.ts";
export type { CutAfterOptions, CutOptions } from "./cut-rule.ts";
export type { CutHow, Direction, DirectionFault, Faults, FlipBit, Shape, Slice } from "./fault.ts";
export type { LaneInfo } from "./lane.ts";
export { Random } from "./random.ts";
export { resetSocket } from "./reset-socket.ts";
