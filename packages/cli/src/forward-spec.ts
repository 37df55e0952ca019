import { CulvertError, checkTarget, type Endpoint, parseEndpoint } from "@culvert/protocol";
import { shown, UsageError } from "./usage-error.ts";

/** One `-L` or `-R`. */
export interface ForwardSpec {
  readonly flag: ForwardFlag;
  /** As it was typed. */
  readonly text: string;
  readonly listen: Endpoint;
  readonly target: Endpoint;
}

export type ForwardFlag = "-L" | "-R";

/** Where a listener binds that was told a port only: nothing is opened to a network that was not asked for. */
const DEFAULT_BIND = "127.0.0.1";
/** What the bind `*` means. */
const EVERY_IPV4 = "0.0.0.0";

/**
 * Reads a forwarding as ssh users know it:
 *
 *     [bind:]port:host:port      [bind:]port:/path.sock      /path.sock:host:port      /path.sock:/path.sock
 *
 * IPv6 addresses stand in brackets. Bind `*` is every IPv4 address of the machine, `[::]` every address. The path of a
 * listening socket has no colon in it; the path of a target may. Listen port 0 takes any free one.
 *
 * Unlike in ssh an empty bind is an error, since it would open the port to every network by a slip of the pen.
 *
 * @throws UsageError naming the flag, the text and the mend.
 */
export function parseForwardSpec(text: string, flag: ForwardFlag): ForwardSpec {
  const fault = (why: string): UsageError => new UsageError(`${flag} ${shown(text)}: ${why}.`);
  const fields = splitFields(text);
  if (fields.length < 2 || fields.length > 4) throw fault(faultOfCount(fields, flag));

  const isPathTarget = fields.at(-1)!.startsWith("/");
  const [listen, target] = [fields.slice(0, isPathTarget ? -1 : -2), fields.slice(isPathTarget ? -1 : -2)];
  if (listen[0] === undefined) {
    throw fault(
      fields[0]!.startsWith("/")
        ? `the target is missing; write ${flag} /path.sock:host:port`
        : MISSING(flag),
    );
  }
  if (listen[0].startsWith("/") && listen.length > 1) {
    throw fault(`a socket path has no port; write ${flag} /path.sock:host:port`);
  }
  // No address is a mere number: what stands first is the port, and something is behind the target.
  if (listen.length > 2 || (listen.length === 2 && /^\d+$/.test(listen[0]))) {
    throw fault(`there is one part too many; write ${flag} ${GRAMMAR}`);
  }
  if (listen.length === 2 && listen[0] === "") {
    throw fault(
      "the address before the first colon is empty; write * for every address, or leave the colon out for 127.0.0.1",
    );
  }

  const read = (given: readonly string[], endpoint: string, what: string): Endpoint => {
    try {
      return parseEndpoint(endpoint, what);
    } catch (error) {
      // Quoted as it was typed, without what we filled in.
      throw fault(reasonOf(error).replace(`"${endpoint}"`, () => `"${given.join(":")}"`));
    }
  };
  const spec = {
    flag,
    text,
    listen: read(listen, listenText(listen), "the listen address"),
    target: read(target, endpointText(target), "the target"),
  };
  try {
    checkTarget(spec.target, "the target");
  } catch (error) {
    throw fault(reasonOf(error));
  }
  return spec;
}

const GRAMMAR = "[bind:]port:host:port";
const MISSING = (flag: ForwardFlag): string =>
  `the listen port or the target is missing; write ${flag} ${GRAMMAR}, for example ${flag} 8080:localhost:80`;

/** Parts between colons; brackets hold colons together, and so does a path that is not the first part. */
function splitFields(text: string): string[] {
  const fields: string[] = [];
  let rest: string | undefined = text;
  while (rest !== undefined) {
    const isTargetPath = fields.length > 0 && rest.startsWith("/");
    const bracketEnd = rest.startsWith("[") ? rest.indexOf("]") : -1;
    const colon: number = isTargetPath ? -1 : rest.indexOf(":", bracketEnd + 1);
    fields.push(colon === -1 ? rest : rest.slice(0, colon));
    rest = colon === -1 ? undefined : rest.slice(colon + 1);
  }
  return fields;
}

function faultOfCount(fields: readonly string[], flag: ForwardFlag): string {
  if (fields.length < 2) return MISSING(flag);
  return `there are too many colons; write ${flag} ${GRAMMAR} with IPv6 addresses in brackets, as in [::1]:8080:localhost:80`;
}

function endpointText(fields: readonly string[]): string {
  return fields[0]!.startsWith("/") ? `unix://${fields[0]}` : fields.join(":");
}

function listenText(fields: readonly string[]): string {
  const [first, port] = fields as readonly [string, string | undefined];
  if (port !== undefined) return endpointText([first === "*" ? EVERY_IPV4 : first, port]);
  return first.startsWith("/") ? endpointText(fields) : `${DEFAULT_BIND}:${first}`;
}

/** What is wrong with an endpoint, without the sentence that all bad addresses share. */
function reasonOf(error: unknown): string {
  if (!(error instanceof CulvertError)) throw error;
  return error.detail ?? error.message;
}

/**
 * Two tunnels cannot listen in one place. Ports 0 differ by nature.
 * @throws UsageError naming both.
 */
export function checkDistinctListeners(specs: readonly ForwardSpec[]): void {
  for (const [index, spec] of specs.entries()) {
    const other = specs
      .slice(0, index)
      .find((earlier) => earlier.flag === spec.flag && overlap(earlier.listen, spec.listen));
    if (other === undefined) continue;
    const where = spec.flag === "-L" ? "on this machine" : "on the server";
    throw new UsageError(
      `${spec.flag} ${shown(other.text)} and ${spec.flag} ${shown(spec.text)} would listen in the same place ${where}: ` +
        "give one of them another port.",
    );
  }
}

/** The addresses that stand for all addresses of the machine. */
const WILDCARDS: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

function overlap(a: Endpoint, b: Endpoint): boolean {
  if (a.scheme === "unix" || b.scheme === "unix")
    return a.scheme === b.scheme && "path" in a && "path" in b && a.path === b.path;
  if (a.port !== b.port || a.port === 0) return false;
  return a.host === b.host || WILDCARDS.has(a.host) || WILDCARDS.has(b.host);
}
