import { ENVIRONMENT } from "./environment.ts";
import { EXIT_TABLE } from "./exit-codes.ts";

export const PROGRAM_EXAMPLES = `
Examples:
  culvert server
  culvert client ws://127.0.0.1:9000 -L 8080:localhost:80

Flags, environment and exit codes: culvert server --help, culvert client --help
`;

export const SERVER_EXAMPLES = `
Examples:
  # for clients on this machine:
  culvert server

  # for clients anywhere, by an authority and users of your own:
  culvert cert ca certs
  culvert cert server certs --host host2.example
  culvert token new --file alice.token    # and its line goes into users.yaml
  culvert server --host 0.0.0.0 --tls-cert certs/server.pem \\
    --tls-key certs/server-key.pem --users users.yaml

  # behind a proxy that ends TLS, with one token for all clients:
  (umask 077; openssl rand -hex 32 > token)
  culvert server --token-file token --allow-connect db.internal:5432`;

export const CLIENT_EXAMPLES = `
Examples:
  # what port 80 of srv serves to the server, at localhost:8080 here:
  culvert client wss://host2.example:9000 --ca certs/ca.pem \\
    --token-file alice.token -L 8080:srv:80

  # the SSH of this machine, at port 8022 of every address of the server:
  culvert client wss://host2.example:9000 --login-key alice.key \\
    -R '*:8022:localhost:22'

  # several tunnels, and a second server to fall back to:
  culvert client wss://host2.example:9000 wss://host3.example:9000 \\
    --token-file alice.token -L 5432:db:5432 -R 8080:localhost:80

Tunnels are written as in ssh:
  [bind:]port:host:port     [bind:]port:/path.sock
  /path.sock:host:port      /path.sock:/path.sock
Bind is 127.0.0.1 when left out; * is every IPv4 address, [::] every address.
IPv6 addresses stand in brackets: -L [::1]:8080:[2001:db8::1]:80. Listen port 0
takes a free one, and the ready line says which.`;

/** Of the commands that do one thing and end. */
export const TASK_EXAMPLES = {
  token: `
Examples:
  culvert token new --file alice.token
  culvert token hash alice.token

The line goes into the users file, see docs/policy.md; the client is started with
  culvert client wss://host2.example:9000 --token-file alice.token \\
    -L 8080:srv:80`,
  key: `
Examples:
  culvert key new alice.key
  culvert key show alice.key

The line goes into the users file, see docs/policy.md; the client is started with
  culvert client wss://host2.example:9000 --login-key alice.key -L 80:srv:80`,
  cert: `
Examples:
  culvert cert ca certs
  culvert cert server certs --host host2.example --host 10.0.0.1
  culvert cert client certs --name laptop

What each made, and the flags that take it, is printed. In a year:
  culvert cert server certs --host host2.example --host 10.0.0.1 --renew`,
  policy: `
Examples:
  culvert policy check --users users.yaml
  culvert policy check --users users.yaml --as alice connect db.internal:5432
  culvert policy check --allow-listen 8000-8999 listen 0.0.0.0:8080`,
} as const;

/** What both commands have in common. */
export function reference(): string {
  return `

A time is a whole number and a unit: 500ms, 10s, 2m, 1h.
A size is a whole number of bytes, or of KiB, MiB or GiB: 65536, 64KiB, 16MiB.

Environment (a flag counts before its variable):
${table(ENVIRONMENT)}

Exit codes:
${table(EXIT_TABLE)}
`;
}

function table(rows: readonly (readonly [key: number | string, meaning: string])[]): string {
  const width = Math.max(...rows.map(([key]) => String(key).length));
  return rows.map(([key, meaning]) => `  ${String(key).padEnd(width)}  ${meaning}`).join("\n");
}
