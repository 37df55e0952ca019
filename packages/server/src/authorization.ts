import type { IncomingMessage } from "node:http";

/** What the header `Authorization` of a request shows. */
export type Authorization =
  | { readonly kind: "nothing" }
  | { readonly kind: "bearer"; readonly token: string }
  /** A scheme of somebody else; only the `authenticate` option can know it. */
  | { readonly kind: "other" }
  /** More than one: which of them counts must not depend on who reads. */
  | { readonly kind: "several" };

export function authorizationOf({ headers, rawHeaders }: IncomingMessage): Authorization {
  const { authorization } = headers;
  if (authorization === undefined) return { kind: "nothing" };
  // Node keeps the first one silently; a proxy on the way may have looked at the last.
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() === "authorization") count += 1;
  }
  if (count > 1) return { kind: "several" };
  const token = /^Bearer +([\x21-\x7e]+)$/i.exec(authorization)?.[1];
  return token === undefined ? { kind: "other" } : { kind: "bearer", token };
}
