import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { programPath } from "../../e2e/support/needed-programs.ts";
import { persistently, soon } from "../../support/deadline.ts";
import { freePort } from "../../support/free-port.ts";
import { TemporaryFolder } from "../../support/temporary-folder.ts";
import { WireEnd } from "../../support/wire-end.ts";

export const REVERSE_PROXIES = ["nginx", "haproxy"] as const;
export type ReverseProxyKind = (typeof REVERSE_PROXIES)[number];

/** A WebSocket without a byte for this long is cut. */
export const IDLE_CUT_MS = 15_000;

/** nginx or HAProxy from the system, in front of one server, with the settings of docs/operations.md. */
export class ReverseProxy implements AsyncDisposable {
  readonly kind: ReverseProxyKind;
  readonly port: number;
  readonly #folder: TemporaryFolder;
  #process: ChildProcess;

  private constructor(kind: ReverseProxyKind, port: number, folder: TemporaryFolder) {
    this.kind = kind;
    this.port = port;
    this.#folder = folder;
    this.#process = this.#spawn();
  }

  /**
   * Resolves when it takes connections. The server behind it need not be there.
   * @param tls Ends TLS with this certificate and key; default: speaks none.
   */
  static async start(
    kind: ReverseProxyKind,
    serverPort: number,
    tls?: { readonly cert: string; readonly key: string },
  ): Promise<ReverseProxy> {
    const folder = new TemporaryFolder();
    // Neither can say which port it was given, so one is chosen for it.
    const port = await freePort();
    const config = kind === "nginx" ? nginxConfig : haproxyConfig;
    if (tls !== undefined) writeFileSync(join(folder.path, PEM), `${tls.cert}\n${tls.key}`, { mode: 0o600 });
    const place = { port, serverPort, folder: folder.path, hasTls: tls !== undefined };
    writeFileSync(join(folder.path, "proxy.conf"), config(place));
    const proxy = new ReverseProxy(kind, port, folder);
    await proxy.#listens();
    return proxy;
  }

  /** Ends it as a crash does, with everything that it carries, and starts it again. */
  async restart(): Promise<void> {
    await this.#end();
    this.#process = this.#spawn();
    await this.#listens();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
    this.#folder[Symbol.dispose]();
  }

  #spawn(): ChildProcess {
    const { path } = this.#folder;
    const file = join(path, "proxy.conf");
    const args = this.kind === "nginx" ? ["-p", path, "-c", file, "-e", "stderr"] : ["-db", "-f", file];
    return spawn(programPath(this.kind), args, { stdio: ["ignore", "ignore", "ignore"] });
  }

  async #listens(): Promise<void> {
    const visitor = await persistently(
      () => WireEnd.connect(`127.0.0.1:${this.port}`),
      `${this.kind} listens`,
    );
    visitor.socket.destroy();
  }

  async #end(): Promise<void> {
    const child = this.#process;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await soon(gone, `${this.kind} is gone`);
  }
}

/** Certificate and key in one file, as HAProxy wants them. */
const PEM = "tls.pem";

interface Place {
  readonly hasTls: boolean;
  readonly port: number;
  readonly serverPort: number;
  readonly folder: string;
}

function nginxConfig({ port, serverPort, folder, hasTls }: Place): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return `
daemon off;
# One process, so that ending it leaves none behind.
master_process off;
pid ${folder}/nginx.pid;
events { worker_connections 256; }
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join("\n  ")}
  server {
    listen 127.0.0.1:${port}${hasTls ? " ssl" : ""};
    ${hasTls ? `ssl_certificate ${folder}/${PEM}; ssl_certificate_key ${folder}/${PEM};` : ""}
    location = /tunnel {
      proxy_pass http://127.0.0.1:${serverPort};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
      proxy_set_header Host $host;
      proxy_read_timeout ${IDLE_CUT_MS}ms;
      proxy_send_timeout ${IDLE_CUT_MS}ms;
    }
  }
}
`;
}

function haproxyConfig({ port, serverPort, folder, hasTls }: Place): string {
  return `
defaults
    mode http
    timeout connect 5s
    timeout client  ${IDLE_CUT_MS}ms
    timeout server  ${IDLE_CUT_MS}ms
    timeout tunnel  ${IDLE_CUT_MS}ms

frontend http
    bind 127.0.0.1:${port}${hasTls ? ` ssl crt ${folder}/${PEM} alpn http/1.1` : ""}
    use_backend culvert if { path /tunnel }

backend culvert
    server culvert 127.0.0.1:${serverPort}
`;
}
