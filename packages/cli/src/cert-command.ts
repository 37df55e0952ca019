import type { Command, Option } from "commander";
import { CertificateFolder } from "./certificate-folder.ts";
import { lastDay, type SubjectName, spkiHash } from "./certificates.ts";
import { EXIT } from "./exit-codes.ts";
import { countFlag, repeatedFlag, switchFlag, textFlag } from "./flags.ts";
import { clientName, hostName } from "./subject-names.ts";
import type { Task, TaskIo } from "./task.ts";
import { shown, UsageError } from "./usage-error.ts";

const CA_DAYS = 3650;
/** What public authorities are held to as well, so that nothing that checks lifetimes objects. */
const DAYS = 365;
const MAX_DAYS = 36_500;

interface AuthorityFlagValues {
  readonly name: string;
  readonly days: number;
  readonly json?: true;
}

interface ServerFlagValues extends AuthorityFlagValues {
  readonly host?: readonly SubjectName[];
  readonly renew?: true;
}

interface ClientFlagValues extends Omit<AuthorityFlagValues, "name"> {
  readonly name?: string;
  readonly renew?: true;
}

/** Gives `command` its commands: `ca`, `server`, `client`. */
export function defineCertCommand(command: Command, plan: (task: Task) => void): void {
  command
    .summary("make certificates of an authority of your own")
    .description(
      "Makes an authority of your own, and certificates for servers and clients that it signs: ECDSA P-256, as PEM files. " +
        "Keys get mode 0600, and no file is overwritten.",
    );
  const add = (name: string, summary: string, options: readonly Option[]): Command => {
    const one = command
      .command(name)
      .summary(summary)
      .description(`${capital(summary)}.`);
    one.argument("<folder>", "where ca.pem is, and where the files go").usage("<folder> [flags]");
    for (const option of options) one.addOption(option);
    return one;
  };
  const days = (fallback: number): Option =>
    countFlag("--days", "how long it is good", fallback, { max: MAX_DAYS });
  const json = switchFlag("--json", "write the result as JSON");
  const renew = switchFlag("--renew", "replace the certificate and keep its key, so that pins stay true");

  add("ca", "make an authority in a new folder", [
    textFlag("--name <text>", "its name, for people", "Culvert test CA", checkAuthorityName),
    days(CA_DAYS),
    json,
  ]).action((folder: string, flags: AuthorityFlagValues) => plan((io) => makeAuthority(folder, flags, io)));
  add("server", "make the certificate of a server", [
    repeatedFlag("--host <host>", "name or IP address by which clients dial it", "none", (text) =>
      hostName(text, "--host"),
    ),
    textFlag("--name <name>", "what its files are called", "server", checkFileName),
    days(DAYS),
    renew,
    json,
  ]).action((folder: string, flags: ServerFlagValues) => plan((io) => makeServer(folder, flags, io)));
  add("client", "make the certificate of a client", [
    textFlag("--name <name>", "as in laptop.example or me@example.org; its files are called so too", {
      none: "none, it is needed",
    }),
    days(DAYS),
    renew,
    json,
  ]).action((folder: string, flags: ClientFlagValues) => plan((io) => makeClient(folder, flags, io)));
}

async function makeAuthority(path: string, flags: AuthorityFlagValues, io: TaskIo): Promise<number> {
  const folder = new CertificateFolder(path);
  const { certificate } = await folder.makeAuthority(flags.name, flags.days);
  tell(io, flags, folder, "ca", certificate, [
    `signs for:     culvert cert server ${path} --host example.org; culvert cert client ${path} --name laptop`,
    `servers:       culvert server --tls-client-ca ${folder.filesOf("ca").certificate} (lets in clients that it signed)`,
    `clients:       culvert client --ca ${folder.filesOf("ca").certificate} (trusts servers that it signed)`,
  ]);
  return EXIT.ok;
}

async function makeServer(path: string, flags: ServerFlagValues, io: TaskIo): Promise<number> {
  const names = flags.host ?? [];
  const [first] = names;
  if (first === undefined) {
    throw new UsageError("a server needs at least one --host: the name or address by which clients dial it.");
  }
  const folder = new CertificateFolder(path);
  const request = { holder: "server", commonName: first.value, names, days: flags.days } as const;
  const { certificate } = await folder.issue(flags.name, request, flags.renew === true);
  const files = folder.filesOf(flags.name);
  tell(io, flags, folder, flags.name, certificate, [
    `the server:    culvert server --tls-cert ${files.certificate} --tls-key ${files.key}`,
    `its clients:   culvert client --ca ${folder.filesOf("ca").certificate}, or without the authority: --pin ${pinOf(certificate)}`,
  ]);
  return EXIT.ok;
}

async function makeClient(path: string, flags: ClientFlagValues, io: TaskIo): Promise<number> {
  if (flags.name === undefined) {
    throw new UsageError("a client needs a --name, as in --name laptop.");
  }
  checkFileName(flags.name);
  const name = clientName(flags.name, "--name");
  const folder = new CertificateFolder(path);
  const request = { holder: "client", commonName: name.value, names: [name], days: flags.days } as const;
  const { certificate } = await folder.issue(flags.name, request, flags.renew === true);
  const files = folder.filesOf(flags.name);
  const line = `certificates: ["${name.type}:${name.value}"]`;
  tell(io, flags, folder, flags.name, certificate, [
    `the client:    culvert client --cert ${files.certificate} --key ${files.key}`,
    `its server:    culvert server --tls-client-ca ${folder.filesOf("ca").certificate}`,
    `users file:    ${line}, or for this key alone: certificates: ["sha256:${spkiHash(certificate)}"]`,
  ]);
  return EXIT.ok;
}

/** What was made, and what to do with it. */
function tell(
  io: TaskIo,
  { json }: { readonly json?: true },
  folder: CertificateFolder,
  name: string,
  certificate: string,
  uses: readonly string[],
): void {
  const files = folder.filesOf(name);
  const notAfter = lastDay(certificate);
  if (json === true) {
    io.out(JSON.stringify({ ...files, pin: pinOf(certificate), notAfter }));
    return;
  }
  io.out(`certificate:   ${files.certificate} (good until ${notAfter})`);
  io.out(`key:           ${files.key} (keep it secret)`);
  for (const line of uses) io.out(line);
}

function pinOf(certificate: string): string {
  return `sha256/${spkiHash(certificate)}`;
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

function checkAuthorityName(text: string): string {
  if (/^[\x20-\x7e]{1,64}$/.test(text) && text.trim() !== "") return text;
  throw new UsageError(
    `--name ${shown(text)} cannot name an authority: write 1 to 64 printable ASCII characters.`,
  );
}

/** `ca` is the authority's own. */
function checkFileName(text: string): string {
  if (/^[A-Za-z0-9_][A-Za-z0-9._@+-]{0,99}$/.test(text) && !/^ca(-key)?$/i.test(text)) return text;
  throw new UsageError(
    `--name ${shown(text)} cannot name files: write letters, digits, dots and hyphens, and not ca.`,
  );
}
