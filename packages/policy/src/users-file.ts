import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  LineCounter,
  parseDocument,
  type YAMLMap,
  type YAMLSeq,
} from "yaml";
import { PolicyFault } from "./policy-fault.ts";

export const MAX_USERS_FILE_BYTES: number = 1024 * 1024;
/** What the aliases of one anchor may stand for in all: a few lines of nested ones make billions otherwise. */
const MAX_ALIASES = 10_000;
/** Values of all kinds, each alias counted as what it stands for; without aliases a file of that size has fewer. */
const MAX_VALUES = 1_000_000;
/** A rule is at depth 6. */
const MAX_DEPTH = 8;
/** Brackets that are open at once before anything is parsed. More than MAX_DEPTH, since there may be some in a comment. */
const MAX_OPEN_BRACKETS = 1000;

const EMPTY = "is empty; it begins with `version: 1`, and then `users:`";
const NOT_UTF8 = "is not UTF-8; save it as UTF-8 text";
const NO_ANCHOR = "this alias has no anchor before it";
const NO_TAGS = "tags (!…) have no meaning here";
const TOO_DEEP = `is nested deeper than ${MAX_DEPTH} levels`;

/**
 * The value in a users file: YAML 1.2 (core schema), one document, which JSON is too. Aliases may be used, tags and merge
 * keys have no meaning, and no key may be there twice. Takes time and memory in proportion to the size.
 * @throws PolicyFault without any piece of the text: it may be a secret.
 */
export function readUsersFile(input: string | Uint8Array): unknown {
  const text = decode(input);
  if (text.trim() === "") throw new PolicyFault(EMPTY);
  checkBrackets(text);
  const lines = new LineCounter();
  const document = parse(text, lines);
  checkNode(document.contents, 1, lines, new Set());
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    if (error instanceof ReferenceError) throw new PolicyFault("has aliases that stand for too much");
    throw error;
  }
  if (value === null || value === undefined) throw new PolicyFault(EMPTY);
  checkValues(value, 1, { left: MAX_VALUES });
  return value;
}

function decode(input: string | Uint8Array): string {
  // A text has at least as many bytes as UTF-16 units.
  if (input.length > MAX_USERS_FILE_BYTES) throw new PolicyFault("is larger than 1 MiB");
  let text: string;
  try {
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    text = typeof input === "string" ? input : decoder.decode(input);
  } catch {
    throw new PolicyFault(NOT_UTF8);
  }
  // Who decodes without complaint puts U+FFFD where bytes were wrong; UTF-16 that is read as UTF-8 has NULs.
  if (/[\ufffd\0]/.test(text)) throw new PolicyFault(NOT_UTF8);
  return text;
}

/** A megabyte of brackets would keep the parser busy for seconds. */
function checkBrackets(text: string): void {
  let open = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === "[" || character === "{") open += 1;
    else if (character === "]" || character === "}") open -= 1;
    if (open > MAX_OPEN_BRACKETS) throw new PolicyFault(TOO_DEEP);
  }
}

function parse(text: string, lineCounter: LineCounter): Document.Parsed {
  const document = parseDocument(text, {
    lineCounter,
    prettyErrors: false,
    schema: "core",
    version: "1.2",
    strict: true,
    stringKeys: true,
    merge: false,
    // "silent" would also take the first of several documents without a word.
    logLevel: "error",
    // Theirs compares each key with each: checkNode does it.
    uniqueKeys: false,
  });
  const [error] = [...document.errors, ...document.warnings];
  if (error === undefined) return document;
  // A depth beyond what the reader's own stack allows.
  if (error.code === "RESOURCE_EXHAUSTION") throw new PolicyFault(TOO_DEEP);
  // Its own message may hold a piece of the text.
  const why = YAML_SENTENCES[error.code] ?? `is not YAML (${error.code})`;
  throw new PolicyFault(`${placeOf(error.pos[0], lineCounter)}: ${why}`);
}

const YAML_SENTENCES: Readonly<Record<string, string>> = {
  BAD_ALIAS: NO_ANCHOR,
  BAD_INDENT: "the indentation does not fit",
  MISSING_CHAR: "a character is missing here, perhaps a quote, a comma or a bracket",
  MULTIPLE_DOCS: "a second document begins here; there can be one only",
  NON_STRING_KEY: "a key is text; put it in quotes",
  TAB_AS_INDENT: "a tab cannot indent; use spaces",
  TAG_RESOLVE_FAILED: NO_TAGS,
};

/** What the value does not show any more, or the checker of its shape leaves out: depth, doubled keys, tags, aliases of nothing. */
function checkNode(node: unknown, depth: number, lines: LineCounter, anchors: Set<string>): void {
  if (!isNode(node)) return;
  const place = placeOf(node.range?.[0] ?? 0, lines);
  if (isAlias(node)) {
    if (!anchors.has(node.source)) throw new PolicyFault(`${place}: ${NO_ANCHOR}`);
    return;
  }
  if (node.tag !== undefined) throw new PolicyFault(`${place}: ${NO_TAGS}`);
  if (node.anchor !== undefined) anchors.add(node.anchor);
  if (isScalar(node)) return;
  if (depth > MAX_DEPTH) throw new PolicyFault(TOO_DEEP);
  if (isMap(node)) checkKeys(node, place, lines);
  for (const item of (node as YAMLMap | YAMLSeq).items) {
    checkNode(isPair(item) ? item.value : item, depth + 1, lines, anchors);
  }
}

function checkKeys(map: YAMLMap, place: string, lines: LineCounter): void {
  const keys = new Set<unknown>();
  for (const { key } of map.items) {
    if (!isScalar(key) || typeof key.value !== "string")
      throw new PolicyFault(`${place}: a key is text; put it in quotes`);
    const fault = keys.has(key.value)
      ? "is there twice"
      : key.value === "__proto__"
        ? "cannot be"
        : undefined;
    if (fault !== undefined)
      throw new PolicyFault(`${placeOf(key.range?.[0] ?? 0, lines)}: this key ${fault}`);
    keys.add(key.value);
  }
}

/** Aliases make a small text large, and even endless: counts what is really there, and stops early. */
function checkValues(value: unknown, depth: number, budget: { left: number }): void {
  budget.left -= 1;
  if (budget.left < 0) throw new PolicyFault("has aliases that stand for too much");
  if (typeof value !== "object" || value === null) return;
  if (depth > MAX_DEPTH) throw new PolicyFault(TOO_DEEP);
  for (const each of Object.values(value)) checkValues(each, depth + 1, budget);
}

function placeOf(offset: number, lines: LineCounter): string {
  const { line, col } = lines.linePos(offset);
  return `line ${line}, column ${col}`;
}
