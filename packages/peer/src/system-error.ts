/** The code of a system error, as `ECONNREFUSED`; `unknown error` for what has none. */
export function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === "string" ? code : "unknown error";
}
