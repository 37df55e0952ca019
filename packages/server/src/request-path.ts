import type { IncomingMessage } from "node:http";

/** The path of a request target, without its query; absolute-form (RFC 9112 section 3.2.2) counts too. */
export function pathOf(request: IncomingMessage): string {
  const target = request.url ?? "";
  if (!target.startsWith("/")) return URL.canParse(target) ? new URL(target).pathname : target;
  const query = target.indexOf("?");
  return query === -1 ? target : target.slice(0, query);
}
