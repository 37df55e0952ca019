import type { Random } from "../../packages/chaos/src/random.ts";

/** Bytes at which ranges end, and with which types and lengths begin. */
const EDGES = [0, 1, 2, 4, 7, 8, 0x0e, 0x3f, 0x40, 0x45, 0x7f, 0x80, 0xc0, 0xfe, 0xff] as const;
/** What a JSON reader might trip over. */
const SNIPPETS = [
  '"',
  "\\u0000",
  "\\ud800",
  "\ufeff",
  "{",
  "[[[[[[[[[",
  "}",
  ",",
  ":",
  "null",
  "-0",
  "1e400",
  "1.5",
  "9007199254740993",
  '"__proto__":{},',
  '"constructor":1,',
  '"version":1,',
  "\u202e",
] as const;
const MOST_CHANGES = 4;
/** Longer than any frame that may be ignored. */
const MOST_RANDOM_BYTES = 40;

type Change = (bytes: Uint8Array, random: Random, others: readonly Uint8Array[]) => Uint8Array;

const CHANGES: readonly Change[] = [
  // A bit turns over.
  (bytes, random) => {
    if (bytes.length === 0) return bytes;
    const at = random.between(0, bytes.length - 1);
    return bytes.with(at, (bytes[at] as number) ^ (1 << random.between(0, 7)));
  },
  // A byte becomes another one, often near the head, where types, ids and lengths are.
  (bytes, random) => {
    if (bytes.length === 0) return bytes;
    const at = random.between(0, random.pick([bytes.length - 1, Math.min(15, bytes.length - 1)]));
    return bytes.with(at, random.pick([random.pick(EDGES), random.between(0, 255)]));
  },
  // Four bytes become an edge of their range.
  (bytes, random) => {
    const at = random.between(0, Math.max(0, bytes.length - 4));
    const edge = random.pick([0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]);
    const copy = bytes.slice();
    for (let i = 0; i < 4 && at + i < copy.length; i += 1) copy[at + i] = edge >>> (24 - 8 * i);
    return copy;
  },
  // Cut short.
  (bytes, random) => bytes.slice(0, random.between(0, bytes.length)),
  // Bytes behind the end, or in the middle.
  (bytes, random) => insert(bytes, random, randomBytes(random, 8)),
  // A piece of it twice.
  (bytes, random) => {
    const from = random.between(0, bytes.length);
    return insert(bytes, random, bytes.slice(from, random.between(from, bytes.length)));
  },
  // The head of this, the tail of another.
  (bytes, random, others) => {
    const other = random.pick(others);
    return joined(
      bytes.slice(0, random.between(0, bytes.length)),
      other.slice(random.between(0, other.length)),
    );
  },
  (bytes, random) => insert(bytes, random, new TextEncoder().encode(random.pick(SNIPPETS))),
];

/** One of `seeds`, changed a little; now and then nothing but random bytes. */
export function mutated(random: Random, seeds: readonly Uint8Array[]): Uint8Array {
  if (random.between(0, 15) === 0) return randomBytes(random, MOST_RANDOM_BYTES);
  let bytes = random.pick(seeds);
  for (let n = random.between(1, MOST_CHANGES); n > 0; n -= 1) {
    bytes = random.pick(CHANGES)(bytes, random, seeds);
  }
  return bytes;
}

function randomBytes(random: Random, most: number): Uint8Array {
  return Uint8Array.from({ length: random.between(0, most) }, () => random.between(0, 255));
}

function insert(bytes: Uint8Array, random: Random, more: Uint8Array): Uint8Array {
  const at = random.between(0, bytes.length);
  return joined(joined(bytes.slice(0, at), more), bytes.slice(at));
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
