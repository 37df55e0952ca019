import type { Option } from "commander";
import { repeatedFlag } from "./flags.ts";

/** Rules as text; the policy reads them. */
export interface RuleFlagValues {
  readonly allowConnect?: readonly string[];
  readonly allowListen?: readonly string[];
}

/** What clients may do that are not among the users. */
export function ruleFlags(aboutConnect: string, aboutListen: string, none: string): Option[] {
  return [
    repeatedFlag("--allow-connect <rule>", aboutConnect, none, (text) => text),
    repeatedFlag("--allow-listen <rule>", aboutListen, none, (text) => text),
  ];
}
