import { CulvertError, type ErrorCode } from "@culvert/protocol";
import { UsageError } from "./usage-error.ts";

/** What is known of the command that failed. */
export interface FailedCommand {
  readonly command: "server" | "client";
  /** By what a client logs in. */
  readonly login: "token" | "key" | "certificate" | undefined;
}

/**
 * Why the command ended, in one sentence for the person who started it: what happened, and what can be done about it. The
 * stack is for the log.
 */
export function failureSentence(error: unknown, failed?: FailedCommand): string {
  if (error instanceof UsageError) return error.message;
  if (!(error instanceof CulvertError)) return INTERNAL;
  const root = rootOf(error);
  const mend = failed === undefined ? undefined : mendOf(root.code, failed);
  // The library asks what may be the matter; here the mend says it.
  const what = mend === undefined ? root.message : root.message.replace(/: (?:is|does) [^:;]*\?$/, "");
  return `${what}${mend === undefined ? "" : `; ${mend}`}${what.endsWith("?") ? "" : "."}`;
}

const INTERNAL =
  "an internal error, a mistake in culvert and not yours: please report it with what --log-level debug shows.";

const LOGIN_MENDS: Readonly<Record<"token" | "key" | "certificate" | "nothing", string>> = {
  token: "give both sides the same token, or the users file of the server the hash of this one",
  key: "give the users file of the server the line that culvert key show prints, and a server behind a proxy the host of this URL by --public-name",
  certificate:
    "give the users file of the server the line for this certificate that culvert cert client printed, and the server --tls-client-ca, or it does not ask for one",
  nothing:
    "this client has no token and no key: add --token-file <file> or --login-key <file>, or set CULVERT_TOKEN",
};

/** A listener's failure is told by its cause, and so is giving up. */
function rootOf(error: CulvertError): CulvertError {
  const { cause } = error;
  return error.code === "listen_failed" && cause instanceof CulvertError ? cause : error;
}

function mendOf(code: ErrorCode, { command, login }: FailedCommand): string | undefined {
  const isServer = command === "server";
  switch (code) {
    case "address_in_use":
      return `choose another port with ${isServer ? "--port" : "-L"}, or stop the program that has this one`;
    case "address_unavailable":
      return `choose an address of this machine with ${isServer ? "--host" : "-L"}`;
    case "address_forbidden":
      return `choose a port above 1023 with ${isServer ? "--port" : "-L"}, or give this user the right`;
    case "listen_failed":
      return isServer ? "check --host and --port" : "check -L";
    case "unauthorized":
      return LOGIN_MENDS[login ?? "nothing"];
    case "displaced":
      return "give each client a --name of its own";
    case "not_culvert":
      return "check host, port and path of the URL";
    case "version_unsupported":
      return "run the same version of culvert on both sides";
    default:
      return undefined;
  }
}
