// A Culvert server with TLS of its own, as a process of its own. Takes its settings as JSON.
import { readFileSync } from "node:fs";
import { Server } from "@culvert/server";

interface Settings {
  readonly port: number;
  readonly certificate: string;
  readonly key: string;
  readonly maxSessions: number;
  readonly maxStreams: number;
}

const settings = JSON.parse(process.argv[2] ?? "") as Settings;
const server = new Server({
  port: settings.port,
  tls: { cert: readFileSync(settings.certificate), key: readFileSync(settings.key) },
  maxSessions: settings.maxSessions,
  session: { maxStreams: settings.maxStreams },
});
await server.start();
