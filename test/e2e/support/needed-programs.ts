import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import type { TestContext } from "vitest";

/** Debian's package for each program that tests speak to; .ci/run installs them all. */
const PACKAGES = {
  curl: "curl",
  haproxy: "haproxy",
  iperf3: "iperf3",
  nginx: "nginx",
  openssl: "openssl",
  prlimit: "util-linux",
  ps: "procps",
  "redis-server": "redis-server",
  "redis-benchmark": "redis-tools",
  ssh: "openssh-client",
  scp: "openssh-client",
  "ssh-keygen": "openssh-client",
  sshd: "openssh-server",
  taskset: "util-linux",
} as const;
export type NeededProgram = keyof typeof PACKAGES;

/** Servers are often not in the path of a user who is not root. */
const DIRECTORIES = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin", "/usr/local/sbin"];

/** Where a program is. @throws Error when it is missing: {@link need} it first. */
export function programPath(name: NeededProgram): string {
  const path = find(name);
  if (path === undefined) throw new Error(noticeOf([name]));
  return path;
}

/**
 * Skips the test, saying how to get what it needs, when a program is missing. With CI=true that fails it: there nothing
 * is left out.
 */
export function need(context: TestContext, ...names: readonly NeededProgram[]): void {
  const missing = names.filter((name) => find(name) === undefined);
  if (missing.length === 0) return;
  const notice = noticeOf(missing);
  if (process.env.CI === "true") throw new Error(notice);
  console.warn(`Skipped: ${notice}`);
  context.skip(notice);
}

function find(name: NeededProgram): string | undefined {
  return DIRECTORIES.map((directory) => join(directory, name)).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function noticeOf(missing: readonly NeededProgram[]): string {
  const packages = [...new Set(missing.map((name) => PACKAGES[name]))].join(" ");
  return `${missing.join(", ")} not found; on Debian or Ubuntu: apt-get install ${packages}`;
}
