import { promises as dns } from "node:dns";
import { isIP } from "node:net";
import {
  type Action,
  commonGrants,
  type Grants,
  hasExpired,
  nearest,
  type User,
  type Users,
} from "@culvert/policy";
import { type Endpoint, formatEndpoint } from "@culvert/protocol";
import { Argument, type Command } from "commander";
import { EXIT } from "./exit-codes.ts";
import { checkChoice, switchFlag, textFlag } from "./flags.ts";
import { asUsage } from "./option-fault.ts";
import { questionedEndpoint, type Verdict, verdictOf, verdictRecord } from "./policy-question.ts";
import { type RuleFlagValues, ruleFlags } from "./rule-flags.ts";
import type { Task, TaskIo } from "./task.ts";
import { shown, UsageError } from "./usage-error.ts";
import { readUsersFile } from "./users-source.ts";

interface CheckFlagValues extends RuleFlagValues {
  readonly users?: string;
  readonly as?: string;
  readonly address?: string;
  readonly json?: true;
}

const ACTIONS = ["connect", "listen"] as const satisfies readonly Action[];

/** Gives `command` its command: `check`. */
export function definePolicyCommand(command: Command, plan: (task: Task) => void): void {
  command
    .summary("explain what a server allows, and by which rule")
    .description("Reads the rules of a server as the server reads them, and explains what they decide.");
  const check = command
    .command("check")
    .summary("check a users file, or explain a decision")
    .description(
      "With --users alone: is the file right? With an action and an endpoint: would a server allow it, by which rule? " +
        "Decides as the server does, offline but for names, which are looked up here. Exit code 0: allowed, 1: denied.",
    )
    .usage("[connect|listen] [endpoint] [flags]")
    .addArgument(new Argument("[action]", "connect or listen"))
    .argument("[endpoint]", "what a client asks for: host:port, unix:///path; to listen also a port alone");
  check.addOption(textFlag("--users <file>", "the users file of the server", { none: "none" }));
  check.addOption(textFlag("--as <name>", "which of the users asks", { none: "none" }));
  const instead = "instead of a users file, as for the server";
  for (const option of ruleFlags(instead, instead, "none")) check.addOption(option);
  check.addOption(
    textFlag(
      "--address <ip>",
      "judge this address, and look up nothing",
      { none: "what the name stands for" },
      checkAddress,
    ),
  );
  check.addOption(switchFlag("--json", "write the result as JSON"));
  check.action((action: string | undefined, endpoint: string | undefined, flags: CheckFlagValues) =>
    plan((io) => (action === undefined ? checkFile(flags, io) : explain(action, endpoint, flags, io))),
  );
}

/** Is the users file right? */
function checkFile(flags: CheckFlagValues, io: TaskIo): number {
  if (flags.users === undefined) {
    throw new UsageError(
      "there is nothing to check: add --users <file>, or an action and an endpoint, as in culvert policy check --users users.yaml --as alice connect db:5432.",
    );
  }
  if (flags.as !== undefined || flags.address !== undefined || flags.allowConnect || flags.allowListen) {
    throw new UsageError("the action and the endpoint are missing: write them, as in connect db:5432.");
  }
  const { byName, byTokenId, byKey, byCertificate } = readUsersFile(flags.users, "--users").users;
  const expired = [...byName.values()]
    .filter(({ expiresAt }) => hasExpired(expiresAt, Date.now()))
    .map(({ name }) => name);
  const facts = {
    ...{ users: byName.size, tokens: byTokenId.size, keys: byKey.size, certificates: byCertificate.size },
    expired,
  };
  if (flags.json === true) io.out(JSON.stringify({ file: flags.users, ...facts }));
  else {
    const { users, tokens, keys, certificates } = facts;
    io.out(
      `${flags.users}: right; users: ${users}, tokens: ${tokens}, keys: ${keys}, certificates: ${certificates}, expired: ${expired.length}`,
    );
  }
  return EXIT.ok;
}

async function explain(
  word: string,
  text: string | undefined,
  flags: CheckFlagValues,
  io: TaskIo,
): Promise<number> {
  const action = checkChoice(word, "the action", ACTIONS) as Action;
  if (text === undefined) {
    throw new UsageError(
      `the endpoint is missing: write what to ${action} to, as in ${action} ${EXAMPLES[action]}.`,
    );
  }
  const endpoint = questionedEndpoint(action, text);
  const { grants, user } = grantsOf(flags);
  const verdict =
    user !== undefined && hasExpired(user.expiresAt, Date.now())
      ? expiredVerdict(user)
      : await verdictOf(grants, action, endpoint, flags.address, (host) => dns.lookup(host, { all: true }));
  if (flags.json === true) {
    const as = user === undefined ? {} : { as: user.name };
    io.out(JSON.stringify({ ...as, ...verdictRecord(action, endpoint, verdict) }));
  } else tell(action, endpoint, verdict, io);
  return verdict.allowed ? EXIT.ok : EXIT.denied;
}

const EXAMPLES: Readonly<Record<Action, string>> = { connect: "db:5432", listen: "8080" };

function tell(action: Action, endpoint: Endpoint, verdict: Verdict, { out }: TaskIo): void {
  out(`${verdict.allowed ? "allowed" : "denied"}: ${action} ${formatEndpoint(endpoint)}`);
  if (verdict.addresses.length === 0) out(`  ${verdict.reason}`);
  const asked = endpoint.scheme === "tcp" ? endpoint.host : undefined;
  for (const { address, reason } of verdict.addresses) {
    out(address === asked ? `  ${reason}` : `  ${address}: ${reason}`);
  }
  if (verdict.unresolved !== undefined) {
    out(
      `  ${verdict.unresolved}: a server judges each of its addresses, too; add --address to ask about one`,
    );
  }
}

function grantsOf(flags: CheckFlagValues): { readonly grants: Grants; readonly user: User | undefined } {
  const { users, as, allowConnect, allowListen } = flags;
  if (users !== undefined && (allowConnect ?? allowListen) !== undefined) {
    throw new UsageError(
      "--users and --allow-connect or --allow-listen are different set-ups: users have rules of their own; leave out one of them.",
    );
  }
  if (users !== undefined) {
    const user = userOf(readUsersFile(users, "--users").users, as, users);
    return { grants: user.grants, user };
  }
  if (as !== undefined) throw new UsageError("--as names one of the users: add --users <file>.");
  const grants = asUsage(() => commonGrants(flags, { connect: "--allow-connect", listen: "--allow-listen" }));
  if (grants === undefined) {
    throw new UsageError(
      "there are no rules to check: add --users <file> --as <name>, or --allow-connect <rule>.",
    );
  }
  return { grants, user: undefined };
}

function userOf({ byName }: Users, name: string | undefined, file: string): User {
  if (name === undefined) throw new UsageError("who asks is missing: add --as <name>, one of the users.");
  const user = byName.get(name);
  if (user !== undefined) return user;
  const meant = nearest(name, [...byName.keys()]);
  throw new UsageError(
    `--as ${shown(name)} is not one of the users of ${shown(file)}${meant === undefined ? "." : `: did you mean ${shown(meant)}?`}`,
  );
}

function expiredVerdict({ name, expiresAt }: User): Verdict {
  const reason = `denied: ${name} expired at ${new Date(expiresAt!).toISOString()}, and is let in no more`;
  return { allowed: false, reason, rule: undefined, addresses: [], unresolved: undefined };
}

function checkAddress(text: string): string {
  const address = /^\[(.*)\]$/.exec(text)?.[1] ?? text;
  if (isIP(address) !== 0 && !address.includes("%")) return address;
  throw new UsageError(
    `--address ${shown(text)} is not an IP address: write one such as 10.0.0.5 or fd00::5.`,
  );
}
