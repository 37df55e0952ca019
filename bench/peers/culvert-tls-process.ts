// A Culvert server that is mounted in an HTTPS server, as a process of its own. Takes its settings as JSON.
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { Server } from "@culvert/server";

interface Settings {
  readonly port: number;
  readonly certificate: string;
  readonly key: string;
  readonly maxSessions: number;
  readonly maxStreams: number;
}

const settings = JSON.parse(process.argv[2] ?? "") as Settings;
const https = createServer({ cert: readFileSync(settings.certificate), key: readFileSync(settings.key) });
const server = new Server({
  maxSessions: settings.maxSessions,
  session: { maxStreams: settings.maxStreams },
});
https.listen(settings.port, "127.0.0.1", () => server.mount(https));
