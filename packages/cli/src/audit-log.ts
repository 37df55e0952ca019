import { type Logger, withEscapes } from "@culvert/peer";
import type { AuditRecord } from "@culvert/server";
import { Outlet } from "./outlet.ts";
import type { RotatingFile } from "./rotating-file.ts";

/**
 * The record of who came in, was refused, and did what: one JSON object a line. A disk that is full ends nothing; the log of the
 * command tells of it, and a line here says how many records were lost.
 */
export function auditLog(file: RotatingFile, log: Logger): (record: AuditRecord) => void {
  const outlet = new Outlet(file, {
    lostLine: (lost, cause) =>
      `${JSON.stringify({ type: "lost", time: new Date().toISOString(), lost, cause })}\n`,
    onTrouble: (cause) => log.error({ cause }, "the audit log cannot be written, records are lost"),
  });
  // The server has made its texts harmless; what is left are characters that only some readers stumble over.
  return (record) => outlet.write(`${withEscapes(JSON.stringify(record))}\n`);
}
