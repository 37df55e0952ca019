import { PolicyFault } from "./policy-fault.ts";

/** The ports of a rule. */
export interface PortSet {
  /** Written as `*`. */
  readonly isAll: boolean;
  /** First and last, ascending, apart from each other; of `*` the one range of all. */
  readonly ranges: readonly (readonly [number, number])[];
}

const MAX_PORT = 65_535;
/** Below it only a privileged process may listen (`net.ipv4.ip_unprivileged_port_start`); services that everybody knows live there. */
export const FIRST_UNPRIVILEGED_PORT = 1024;

const MEND = "ports are written as 80, 80,443, 8000-8999 or *";

/**
 * Reads `80`, `80,443`, `8000-8999`, combinations of these, or `*`.
 * @param first the lowest port that makes sense: 1 to connect to, 0 (any free port) to listen on.
 * @throws PolicyFault
 */
export function parsePorts(text: string, first: 0 | 1): PortSet {
  if (text === "*") return { isAll: true, ranges: [[first, MAX_PORT]] };
  const ranges = text.split(",").map((part) => parseRange(part, first));
  return { isAll: false, ranges: merged(ranges) };
}

export function hasPort(ports: PortSet, port: number): boolean {
  return ports.ranges.some(([from, to]) => from <= port && port <= to);
}

/** As {@link hasPort}, but a port below 1024 must be written out: `*` does not name it. */
export function hasWrittenPort(ports: PortSet, port: number): boolean {
  if (ports.isAll && port > 0 && port < FIRST_UNPRIVILEGED_PORT) return false;
  return hasPort(ports, port);
}

/** May a port that the system chooses (port 0 was asked for) be one of these? */
export function hasFreePort(ports: PortSet): boolean {
  return hasPort(ports, 0) || ports.ranges.some(([, to]) => to >= FIRST_UNPRIVILEGED_PORT);
}

function parseRange(text: string, first: 0 | 1): [number, number] {
  const dash = text.indexOf("-");
  const from = parsePort(dash === -1 ? text : text.slice(0, dash), first);
  const to = dash === -1 ? from : parsePort(text.slice(dash + 1), first);
  if (from > to) throw new PolicyFault(`the range of ports ends before it begins; write ${to}-${from}`);
  return [from, to];
}

/** One spelling a port: no sign, no spaces, no leading zeros. */
function parsePort(text: string, first: 0 | 1): number {
  if (text === "") throw new PolicyFault(`a port is missing; ${MEND}`);
  if (!/^(0|[1-9][0-9]*)$/.test(text)) throw new PolicyFault(MEND);
  const port = text.length > 5 ? Number.POSITIVE_INFINITY : Number(text);
  if (port < first || port > MAX_PORT)
    throw new PolicyFault(`a port is a number from ${first} to ${MAX_PORT}`);
  return port;
}

/** Ascending, and those that touch made one. */
function merged(ranges: readonly [number, number][]): [number, number][] {
  const result: [number, number][] = [];
  for (const [from, to] of ranges.toSorted((a, b) => a[0] - b[0])) {
    const last = result.at(-1);
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else result.push([from, to]);
  }
  return result;
}
