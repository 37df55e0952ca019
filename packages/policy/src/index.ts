export { commonGrants } from "./common-grants.ts";
export { decide, type PolicyContext, type Question } from "./decision.ts";
export {
  EVERYTHING,
  type Grants,
  type GrantsInput,
  type IdentityLimits,
  NOTHING,
  parseGrants,
  type RuleSet,
  type RulesInput,
} from "./grants.ts";
export { nearest } from "./nearest.ts";
export type { Decision } from "./reason.ts";
export type { Action, Rule } from "./rule.ts";
export {
  type CertificateMatch,
  type Credentials,
  formatCertificateMatch,
  hasExpired,
  type TokenDigest,
  type User,
} from "./user.ts";
export { parseUsers, type Users } from "./users.ts";
export { MAX_USERS_FILE_BYTES } from "./users-file.ts";
export { usersJsonSchema } from "./users-schema.ts";
