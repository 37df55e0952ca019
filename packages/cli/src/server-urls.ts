import { shown, UsageError } from "./usage-error.ts";

const SCHEMES: ReadonlySet<string> = new Set(["ws:", "wss:", "http:", "https:"]);
const EXAMPLE = "for example ws://host2:9000";

/**
 * Checks the URL of a server: `ws://` or `wss://`, or `http://` and `https://`, which mean the same. What could hold a
 * secret, a password or a query, is not repeated in errors.
 * @throws UsageError
 */
export function checkServerUrl(text: string): string {
  if (text === "") throw new UsageError(`the URL of the server is empty: write one, ${EXAMPLE}.`);
  const what = `the server URL ${shown(text.replace(/[?#].*$/s, "").replace(/\/\/[^/]*@/, "//…@"))}`;
  const fault = (why: string): UsageError => new UsageError(`${what} ${why}.`);
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/(.*)$/s.exec(text);
  if (scheme === null) {
    // host:port is what many programs take, and what a person types first.
    const meant = /^[A-Za-z0-9_.-]+(:[0-9]+)?(\/[^?#@]*)?$/.test(text) ? `ws://${text}` : undefined;
    throw meant === undefined
      ? fault(`must begin with ws://, wss://, http:// or https://, ${EXAMPLE}`)
      : new UsageError(`${what} has no scheme: did you mean ${shown(meant)}?`);
  }
  if (!SCHEMES.has(`${scheme[1]!.toLowerCase()}:`)) {
    throw fault(`must begin with ws://, wss://, http:// or https://, ${EXAMPLE}`);
  }
  const authority = scheme[2]!.replace(/[/?#].*$/s, "");
  if (authority.includes("@")) throw fault("must not contain a user name or password: use --token-file");
  if (authority.replace(/:[0-9]*$/, "") === "") throw fault(`has no host: write one, ${EXAMPLE}`);
  if (text.includes("#")) throw fault("must not have a fragment: leave out # and what follows");
  if (!authority.startsWith("[") && authority.indexOf(":") !== authority.lastIndexOf(":")) {
    throw fault("has an IPv6 address without brackets: write it as in ws://[::1]:9000");
  }
  if (!URL.canParse(text)) throw fault(`is not valid: write scheme, host and port, ${EXAMPLE}`);
  return text;
}

/** Is nothing encrypted on the way there? */
export function isPlain(text: string): boolean {
  return /^(ws|http):/i.test(text);
}

/** Would a secret cross a network in the open on its way there? */
export function isPlainAndRemote(text: string): boolean {
  const url = new URL(text);
  if (!isPlain(text)) return false;
  return !isLoopback(url.hostname);
}

/** Is this host, as in a URL or a flag, this machine? */
export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.[0-9]+){3}|\[?::1\]?)$/.test(host);
}
