import type { IncomingMessage } from "node:http";
import { type KeyLogin, parseKeyLogin } from "@culvert/protocol";

/** What the header `Authorization` of a request shows. */
export type Authorization =
  | { readonly kind: "nothing" }
  | { readonly kind: "bearer"; readonly token: string }
  | { readonly kind: "key"; readonly login: KeyLogin }
  /** A scheme of somebody else, or none that can be read; only the `authenticate` option can know it. */
  | { readonly kind: "other" }
  /** More than one: which of them counts must not depend on who reads. */
  | { readonly kind: "several" };

export function authorizationOf({ headers, rawHeaders }: IncomingMessage): Authorization {
  const { authorization } = headers;
  if (authorization === undefined) return { kind: "nothing" };
  // Node keeps the first one silently; a proxy on the way may have looked at the last.
  const count = rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === "authorization").length;
  if (count > 1) return { kind: "several" };
  const token = /^Bearer +([\x21-\x7e]+)$/i.exec(authorization)?.[1];
  if (token !== undefined) return { kind: "bearer", token };
  const login = parseKeyLogin(authorization);
  return login === undefined ? { kind: "other" } : { kind: "key", login };
}
