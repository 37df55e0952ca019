import { createHash, randomBytes } from "node:crypto";
import { hostname, userInfo } from "node:os";

/** What of a tunnel goes into the name. */
export interface NamedTunnel {
  readonly mode: string;
  readonly listen: string;
  readonly connect: string;
}

/**
 * The name of a client that was given none: `auto-` and the first 16 hex digits of a SHA-256 over user, host and the list
 * of tunnels in any order. So a restarted client has its former name, displaces what is left of its former session and
 * finds its ports free; and two clients with different tunnels on one host leave each other alone. Two clients of one user
 * with the very same tunnels need names of their own.
 *
 * A client without tunnels has no port to find again, and two of them must not displace each other: its name is random.
 * Only the hash goes to the server, not the user or the host.
 */
export function defaultName(tunnels: readonly NamedTunnel[], who: Who = currentUser()): string {
  if (tunnels.length === 0) return `auto-${randomBytes(8).toString("hex")}`;
  const list = tunnels.map(({ mode, listen, connect }) => JSON.stringify([mode, listen, connect])).sort();
  const text = JSON.stringify(["culvert client name 1", who.user, who.host, list]);
  return `auto-${createHash("sha256").update(text).digest("hex").slice(0, 16)}`;
}

export interface Who {
  readonly user: string;
  readonly host: string;
}

/** `getUser` is `os.userInfo`, which throws where the user id has no entry, as in many containers. */
export function currentUser(getUser: () => { readonly username: string } = userInfo): Who {
  let user: string;
  try {
    user = getUser().username;
  } catch {
    user = "";
  }
  return { user, host: hostname() };
}
