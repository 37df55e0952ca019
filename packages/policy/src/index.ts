export { decide, type PolicyContext, type Question } from "./decision.ts";
export {
  EVERYTHING,
  type Grants,
  type GrantsInput,
  type IdentityLimits,
  NOTHING,
  parseRules,
  type RuleSet,
  type RulesInput,
} from "./grants.ts";
export { nearest } from "./nearest.ts";
export type { Decision } from "./reason.ts";
export { type Action, formatRule, type Rule } from "./rule.ts";
export {
  type CertificateMatch,
  type Credentials,
  formatCertificateMatch,
  type TokenDigest,
  type User,
} from "./user.ts";
export { MAX_USERS_FILE_BYTES, parseGrants, parseUsers, type Users } from "./users-file.ts";
export { usersJsonSchema } from "./users-schema.ts";
