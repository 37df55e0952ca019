import { formatRange } from "../../src/address.ts";
import type { HostPattern } from "../../src/host-pattern.ts";
import type { Rule } from "../../src/index.ts";
import type { PortSet } from "../../src/port-set.ts";

/** One text for each pattern, whatever it was written as: `parseRule` must read it back to the same one. */
export function formatRule({ pattern }: Rule): string {
  if (pattern.kind === "unix") return `unix:${pattern.path}`;
  return `${formatHost(pattern.host)}:${formatPorts(pattern.ports)}`;
}

function formatHost(host: HostPattern): string {
  switch (host.kind) {
    case "any":
      return "*";
    case "own":
      return "own";
    case "keyword":
      return host.keyword;
    case "range":
      return host.range.family === 6 ? `[${formatRange(host.range)}]` : formatRange(host.range);
    case "name":
      // A word alone could be read as a keyword.
      return host.name.includes(".") ? host.name : `${host.name}.`;
    case "suffix":
      return `*.${host.suffix}`;
  }
}

function formatPorts(ports: PortSet): string {
  if (ports.isAll) return "*";
  return ports.ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(",");
}
