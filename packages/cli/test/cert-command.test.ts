import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { connect, createServer, type TLSSocket } from "node:tls";
import { describe, expect, it, onTestFinished, test } from "vitest";
import { outcomeOf, temporaryDirectory } from "./support.ts";

async function authority(): Promise<string> {
  const folder = join(temporaryDirectory(), "certs");
  expect(await outcomeOf(["cert", "ca", folder])).toMatchObject({ exitCode: 0, stderr: "" });
  return folder;
}

function pem(folder: string, name: string): string {
  return readFileSync(join(folder, `${name}.pem`), "utf8");
}

interface Handshake {
  /** What the server knows of the client. */
  readonly client: string | undefined;
  readonly error: string | undefined;
}

/** One TLS handshake with the server's certificate of `folder`; with the client's, if one is named. */
async function handshake(folder: string, host: string, client?: string): Promise<Handshake> {
  const server = createServer({
    cert: pem(folder, "server"),
    key: pem(folder, "server-key"),
    ca: pem(folder, "ca"),
    requestCert: client !== undefined,
    minVersion: "TLSv1.2",
  });
  server.on("tlsClientError", () => undefined).listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const accepted = once(server, "secureConnection") as Promise<[TLSSocket]>;
  const socket = connect({
    ...{ host: "127.0.0.1", port: (server.address() as AddressInfo).port, servername: host },
    ca: pem(folder, "ca"),
    ...(client === undefined ? {} : { cert: pem(folder, client), key: pem(folder, `${client}-key`) }),
  });
  try {
    await once(socket, "secureConnect");
    const [peer] = await accepted;
    return {
      client: peer.authorized ? peer.getPeerX509Certificate()?.subjectAltName : undefined,
      error: undefined,
    };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { client: undefined, error: code ?? message };
  } finally {
    socket.destroy();
  }
}

describe("culvert cert", () => {
  it("makes an authority, a server and a client that trust each other", async () => {
    const folder = await authority();
    const hosts = [
      "--host",
      "host2.example",
      "--host",
      "*.svc.example",
      "--host",
      "127.0.0.1",
      "--host",
      "[::1]",
    ];
    expect(await outcomeOf(["cert", "server", folder, ...hosts])).toMatchObject({ exitCode: 0, stderr: "" });
    expect(await outcomeOf(["cert", "client", folder, "--name", "laptop"])).toMatchObject({ exitCode: 0 });
    expect(await handshake(folder, "host2.example", "laptop")).toEqual({
      client: "DNS:laptop",
      error: undefined,
    });
    expect(await handshake(folder, "a.svc.example")).toEqual({ client: undefined, error: undefined });
    expect(await handshake(folder, "other.example")).toMatchObject({ error: "ERR_TLS_CERT_ALTNAME_INVALID" });
    // What is for clients alone serves nobody, and the other way round (RFC 5280 section 4.2.1.12).
    expect(new X509Certificate(pem(folder, "laptop")).keyUsage).toEqual(["1.3.6.1.5.5.7.3.2"]);
    expect(new X509Certificate(pem(folder, "server")).keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
    const names = new X509Certificate(pem(folder, "server"));
    expect([names.checkIP("127.0.0.1"), names.checkIP("::1"), names.checkIP("127.0.0.2")]).toEqual([
      "127.0.0.1",
      "::1",
      undefined,
    ]);
  });

  it("signs an authority that signs no further ones, and certificates that are none", async () => {
    const folder = await authority();
    await outcomeOf(["cert", "server", folder, "--host", "a.example", "--days", "5000"]);
    const [ca, server] = [new X509Certificate(pem(folder, "ca")), new X509Certificate(pem(folder, "server"))];
    expect([ca.ca, server.ca]).toEqual([true, false]);
    expect([server.checkIssued(ca), server.verify(ca.publicKey)]).toEqual([true, true]);
    // It cannot outlive its authority.
    expect(server.validToDate).toEqual(ca.validToDate);
    expect(server.validFromDate.getTime()).toBeLessThan(Date.now() - 3_000_000);
    expect(server.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: "prime256v1" });
    expect(server.serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/);
  });

  test("T5: keys are for their owner only, and never shown", async () => {
    const folder = await authority();
    const made = [
      await outcomeOf(["cert", "server", folder, "--host", "a.example"]),
      await outcomeOf(["cert", "client", folder, "--name", "me@example.org", "--json"]),
    ];
    for (const file of readdirSync(folder)) {
      expect((statSync(join(folder, file)).mode & 0o777).toString(8), file).toBe(
        file.endsWith("-key.pem") ? "600" : "644",
      );
    }
    for (const { stdout, stderr } of made) expect(stdout + stderr).not.toMatch(/PRIVATE|MIG/);
  });

  test("T5: nobody else may write in the folder, where he could put another authority, whatever the umask", async () => {
    const umask = process.umask(0);
    onTestFinished(() => void process.umask(umask));
    const folder = join(await authority(), "inner");
    expect(await outcomeOf(["cert", "ca", folder])).toMatchObject({ exitCode: 0 });
    for (const path of [folder, join(folder, "..")]) expect(statSync(path).mode & 0o022).toBe(0);
  });

  it("says which flags take what it made", async () => {
    const folder = await authority();
    const { stdout } = await outcomeOf(["cert", "server", folder, "--host", "a.example"]);
    expect(stdout).toContain(`--tls-cert ${folder}/server.pem --tls-key ${folder}/server-key.pem`);
    expect(stdout).toMatch(/--pin sha256\/[A-Za-z0-9+/]{43}=\n/);
    const mail = await outcomeOf(["cert", "client", folder, "--name", "me@example.org"]);
    expect(mail.stdout).toMatch(
      /certificates: \["email:me@example\.org"\], .*\["sha256:[A-Za-z0-9+/]{43}="\]\n/,
    );
    const { stdout: json } = await outcomeOf(["cert", "client", folder, "--name", "laptop", "--json"]);
    expect(JSON.parse(json)).toEqual({
      certificate: `${folder}/laptop.pem`,
      key: `${folder}/laptop-key.pem`,
      pin: expect.stringMatching(/^sha256\/.{43}=$/) as string,
      notAfter: new X509Certificate(pem(folder, "laptop")).validToDate.toISOString().slice(0, 10),
    });
  });

  it("overwrites nothing, follows no link that is in the way, and leaves no half of a pair", async () => {
    const folder = await authority();
    const before = pem(folder, "ca-key");
    const again = await outcomeOf(["cert", "ca", folder]);
    expect(again).toMatchObject({ exitCode: 2, stdout: "" });
    expect(again.stderr).toContain("there is such a file, and it is not overwritten");
    expect(pem(folder, "ca-key")).toBe(before);
    const elsewhere = join(folder, "elsewhere");
    symlinkSync(elsewhere, join(folder, "server.pem"));
    expect((await outcomeOf(["cert", "server", folder, "--host", "a"])).exitCode).toBe(2);
    expect(readdirSync(folder).sort()).toEqual(["ca-key.pem", "ca.pem", "server.pem"]);
  });

  it("renews a certificate with the key that it has, so that pins stay true", async () => {
    const folder = await authority();
    const renew = ["cert", "server", folder, "--host", "b.example", "--renew", "--json"];
    expect(await outcomeOf(renew)).toMatchObject({
      exitCode: 2,
      stderr: `culvert: the key to keep ${folder}/server-key.pem: there is no such file.\n`,
    });
    const first = await outcomeOf(["cert", "server", folder, "--host", "a.example", "--json"]);
    const key = pem(folder, "server-key");
    const second = await outcomeOf(renew);
    expect(JSON.parse(second.stdout)).toEqual(JSON.parse(first.stdout));
    expect(pem(folder, "server-key")).toBe(key);
    expect(await handshake(folder, "b.example")).toMatchObject({ error: undefined });
    expect(readdirSync(folder)).toHaveLength(4);
  });

  it.each<[string[], RegExp]>([
    [["server", "F"], /^culvert: a server needs at least one --host: /],
    [["client", "F"], /^culvert: a client needs a --name, as in --name laptop\.\n$/],
    [
      ["server", "F", "--host", "https://a.example"],
      /^culvert: --host https:\/\/a\.example is not a host: write a name/,
    ],
    [["server", "F", "--host", "a.example:443"], /is not a host/],
    [["server", "F", "--host", "a.*.example"], /is not a host/],
    [["server", "F", "--host", "127.1"], /is not a host/],
    [["server", "F", "--host", "fe80::1%eth0"], /is not a host/],
    [["server", "F", "--host", "a\nb"], /^culvert: --host "a\\nb" is not a host/],
    [["server", "F", "--host", "a", "--name", "../x"], /^culvert: --name \.\.\/x cannot name files/],
    [["server", "F", "--host", "a", "--name", "ca"], /^culvert: --name ca cannot name files/],
    [["client", "F", "--name", "../x"], /^culvert: --name \.\.\/x cannot name files/],
    [["client", "F", "--name", "Laptop"], /^culvert: --name Laptop cannot name a client/],
    [["client", "F", "--name", "a@b@c"], /cannot name a client/],
    [["client", "F", "--name", "laptop", "--days", "0"], /^culvert: --days 0 is out of range/],
    [["ca", "F", "--name", " "], /^culvert: --name " " cannot name an authority/],
    [["ca"], /^culvert: culvert cert ca needs an argument: write culvert cert ca <folder> \[flags\]\.\n$/],
    [["ca", "a", "b"], /^culvert: culvert cert ca has an argument too many/],
    [["caa"], /^culvert: culvert cert caa is not a command: did you mean ca\?\n$/],
    [["ca", "F", "--dayz", "3"], /^culvert: there is no flag --dayz: did you mean --days\?\n$/],
  ])("G1: refuses %j in one sentence", async (argv, sentence) => {
    const folder = temporaryDirectory();
    const { exitCode, stdout, stderr } = await outcomeOf([
      "cert",
      ...argv.map((word) => (word === "F" ? folder : word)),
    ]);
    expect([exitCode, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(sentence);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("G5: an authority that cannot sign is refused, with the mend", async () => {
    const empty = temporaryDirectory();
    const issue = (folder: string) => outcomeOf(["cert", "client", folder, "--name", "laptop"]);
    expect((await issue(empty)).stderr).toBe(
      `culvert: the authority ${empty}/ca.pem: there is no such file; make one with: culvert cert ca ${empty}.\n`,
    );
    const [one, other] = [await authority(), await authority()];
    writeFileSync(join(one, "ca.pem"), pem(other, "ca"));
    expect((await issue(one)).stderr).toContain("cannot sign: the key does not belong to the certificate; ");
    writeFileSync(join(one, "ca-key.pem"), "no key");
    expect((await issue(one)).stderr).toContain(
      "this is not a certificate and its unencrypted key in PEM form",
    );
    await outcomeOf(["cert", "server", other, "--host", "a"]);
    for (const end of ["", "-key"]) writeFileSync(join(other, `ca${end}.pem`), pem(other, `server${end}`));
    expect((await issue(other)).stderr).toContain("this certificate is not that of an authority");
  });
});
