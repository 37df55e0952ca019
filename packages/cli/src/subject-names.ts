import { isIP } from "node:net";
import type { SubjectName } from "./certificates.ts";
import { shown, UsageError } from "./usage-error.ts";

const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;
const MAX_HOST_CHARACTERS = 253;

/**
 * A host as the certificate of a server names it: an IP address, a name, or `*.example.org` for all names one level below.
 * @throws UsageError naming the flag.
 */
export function hostName(text: string, flag: string): SubjectName {
  const address = /^\[(.*)\]$/.exec(text)?.[1] ?? text;
  // A zone names an interface of one machine only.
  if (isIP(address) !== 0 && !address.includes("%")) return { type: "ip", value: address };
  const value = text.toLowerCase();
  if (isHostName(value.replace(/^\*\./, ""))) return { type: "dns", value };
  throw new UsageError(
    `${flag} ${shown(text)} is not a host: write a name, *.name, or an IP address, without port and scheme; a name beyond ASCII in its xn-- form.`,
  );
}

/**
 * How a client is called in its certificate: `laptop` or `laptop.example` as a DNS name, `me@example.org` as a mail address.
 * The name is also that of its files, so it can hold no path.
 * @throws UsageError naming the flag.
 */
export function clientName(text: string, flag: string): SubjectName {
  const [local, host, ...rest] = text.split("@");
  if (host === undefined && isHostName(text)) return { type: "dns", value: text };
  const isMail = /^[A-Za-z0-9._+-]{1,64}$/.test(local!) && !local!.startsWith(".") && rest.length === 0;
  if (host !== undefined && isMail && isHostName(host)) return { type: "email", value: text };
  throw new UsageError(
    `${flag} ${shown(text)} cannot name a client: write one such as laptop, laptop.example or me@example.org, in lower case.`,
  );
}

function isHostName(text: string): boolean {
  const labels = text.split(".");
  // All digits at the end would be an address that is none.
  return (
    text.length <= MAX_HOST_CHARACTERS &&
    labels.every((label) => LABEL.test(label)) &&
    !/^[0-9]+$/.test(labels.at(-1)!)
  );
}
