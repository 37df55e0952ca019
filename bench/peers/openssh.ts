import { execFile } from "node:child_process";
import { chmod, copyFile, mkdir, writeFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { findProgram, Program } from "../program.ts";
import { missingPrograms, type Peer, type ServerRequest, versionOf } from "./peer.ts";

const execute = promisify(execFile);

/** Where sshd, when root starts it, gives up its rights before a login. Debian makes it in the unit of the service. */
const PRIVILEGE_FOLDER = "/run/sshd";

async function makeKey(file: string): Promise<void> {
  await execute("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file]);
}

async function startServer({ ports: [port], folder }: ServerRequest): Promise<Program[]> {
  const hostKey = join(folder, "host-key");
  const userKey = join(folder, "user-key");
  const authorized = join(folder, "authorized-keys");
  const config = join(folder, "sshd-config");
  if (userInfo().uid === 0) await mkdir(PRIVILEGE_FOLDER, { recursive: true, mode: 0o755 });
  await makeKey(hostKey);
  await makeKey(userKey);
  await copyFile(`${userKey}.pub`, authorized);
  await chmod(authorized, 0o600);
  await writeFile(
    config,
    [
      `Port ${port}`,
      "ListenAddress 127.0.0.1",
      `HostKey ${hostKey}`,
      `AuthorizedKeysFile ${authorized}`,
      "StrictModes no",
      "UsePAM no",
      "UseDNS no",
      "PasswordAuthentication no",
      "PermitRootLogin prohibit-password",
      "AllowTcpForwarding yes",
      "MaxStartups 2000", // a thousand clients come one after the other, and not at once
      "ClientAliveInterval 15",
      "LogLevel ERROR",
      `PidFile ${join(folder, "sshd.pid")}`,
      "",
    ].join("\n"),
  );
  // sshd starts itself anew for each connection, in a session of its own, and wants to be called by its full path.
  return [new Program(findProgram("sshd") ?? "sshd", ["-D", "-e", "-f", config], { forksIntoGroups: true })];
}

function openssh(name: string, cipher: string, flags: readonly string[]): Peer {
  return {
    name,
    family: "openssh",
    kind: "peer",
    security: "encrypted",
    cipher,
    modes: ["connect", "listen"],
    note: "does not connect again by itself",
    missing: () => missingPrograms("ssh", "sshd", "ssh-keygen"),
    version: () => versionOf("ssh", ["-V"]),
    startServer,
    startClient: async ({ servers: [server], forwards, mode, folder }) => {
      const tunnels = forwards.flatMap(({ listenPort, targetPort }) => [
        mode === "connect" ? "-L" : "-R",
        `127.0.0.1:${listenPort}:127.0.0.1:${targetPort}`,
      ]);
      const options = [
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "ExitOnForwardFailure=yes",
        "ServerAliveInterval=15",
        "IdentitiesOnly=yes",
        "Compression=no",
        "LogLevel=ERROR",
      ].flatMap((option) => ["-o", option]);
      return [
        new Program("ssh", [
          ...["-F", "/dev/null", "-N", "-p", String(server?.port), "-i", join(folder, "user-key")],
          ...options,
          ...flags,
          ...tunnels,
          `${userInfo().username}@${server?.host}`,
        ]),
      ];
    },
  };
}

export const OPENSSH: Peer = openssh("openssh", "SSH, chacha20-poly1305@openssh.com (its default)", []);
export const OPENSSH_AES: Peer = openssh("openssh-aes", "SSH, aes128-gcm@openssh.com", [
  "-c",
  "aes128-gcm@openssh.com",
]);
