import type { Random } from "@culvert/chaos";
import type { Play, Script } from "./script.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

const BULK_PIECE = [16 * KIB, 64 * KIB] as const;
const SILENT: Script = { bytes: 0, piece: [1, 1], endsLast: true };

/** Small ones are as likely as large ones: each doubling is. */
function size(random: Random, min: number, max: number): number {
  return Math.round(min * (max / min) ** random.fraction());
}

function bulk(random: Random, max = 16 * MIB): Script {
  return { bytes: size(random, 64 * KIB, max), piece: BULK_PIECE };
}

type Shape = (random: Random) => Omit<Play, "shape" | "target"> & { readonly target?: Play["target"] };

/** Everything that is carried, by name. Each draws its sizes and times anew. */
const SHAPES = {
  "bulk up": (random) => ({ visitor: bulk(random), host: { ...SILENT, bytes: 100, piece: [1, 100] } }),
  "bulk down": (random) => ({ visitor: SILENT, host: bulk(random) }),
  "bulk both ways": (random) => ({ visitor: bulk(random), host: bulk(random) }),
  // The visitor has said all and closed its direction long before the answer is over.
  "half-close, long answer": (random) => ({
    visitor: { bytes: random.between(0, 200), piece: [1, 200] },
    host: { ...bulk(random), beginsLast: true },
  }),
  "half-close, long question": (random) => ({
    visitor: { ...bulk(random), beginsLast: true },
    host: { bytes: random.between(0, 200), piece: [1, 200] },
  }),
  echo: (random) => ({
    visitor: {
      bytes: random.between(20, 200) * 512,
      piece: [1, 2_000],
      inTurns: true,
      gapMs: [0, 40],
    },
    host: { bytes: 0, piece: [1, 64 * KIB], echoes: true },
  }),
  "single bytes": (random) => ({
    visitor: { bytes: random.between(50, 500), piece: [1, 1], gapMs: [1, 15] },
    host: { bytes: 0, piece: [1, 1], echoes: true },
  }),
  "slow reader": (random) => {
    const bytes = size(random, 256 * KIB, 2 * MIB);
    const slow: Script = { ...SILENT, readBytesPerSecond: Math.round(bytes / random.between(2, 12)) };
    const fast: Script = { bytes, piece: BULK_PIECE };
    return random.between(0, 1) === 0 ? { visitor: slow, host: fast } : { visitor: fast, host: slow };
  },
  idle: (random) => ({
    visitor: {
      bytes: 400,
      piece: [1, 100],
      inTurns: true,
      restMs: size(random, 5_000, 60_000),
    },
    host: { bytes: 0, piece: [1, 400], echoes: true },
  }),
  short: (random) => ({
    visitor: { bytes: random.between(1, 2_000), piece: [1, 2_000] },
    host: { bytes: random.between(0, 2_000), piece: [1, 2_000], endsLast: random.between(0, 1) === 0 },
  }),
  "reset by the visitor": (random) => resetting(random, "visitor"),
  "reset by the target": (random) => resetting(random, "host"),
  "the visitor leaves at once": (random) => ({
    visitor: {
      bytes: random.between(0, 1) * random.between(1, 500),
      piece: [1, 500],
      leaves: random.pick(["reset", "close"] as const),
    },
    host: { bytes: random.between(0, 5_000), piece: [1, 2_000] },
  }),
  "the target reads nothing": (random) => ({
    target: "deaf",
    visitor: bulk(random, 4 * MIB),
    host: SILENT,
  }),
  "the target stops reading": (random) => ({
    visitor: bulk(random, 4 * MIB),
    host: { ...SILENT, deafForMs: random.between(500, 4_000) },
  }),
  "the target refuses": (random) => ({
    target: "closed",
    visitor: { bytes: random.between(0, 2_000), piece: [1, 500], endsLast: true },
    host: SILENT,
  }),
  "the target resets at once": (random) => ({
    target: "rude",
    visitor: { bytes: random.between(0, 2_000), piece: [1, 500], endsLast: true },
    host: SILENT,
  }),
} as const satisfies Record<string, Shape>;

export type ShapeName = keyof typeof SHAPES;

/** All names, in the order in which a summary shows them. */
export const SHAPE_NAMES: readonly ShapeName[] = Object.keys(SHAPES) as ShapeName[];

/** Draws a connection of this shape. */
export function drawPlay(shape: ShapeName, random: Random): Play {
  const make: Shape = SHAPES[shape];
  return { target: "talking", ...make(random), shape };
}

/** Both talk, and one of them breaks off somewhere in the middle. */
function resetting(random: Random, who: "visitor" | "host"): { visitor: Script; host: Script } {
  const ends = { visitor: bulk(random, 4 * MIB), host: bulk(random, 4 * MIB) };
  const all = ends.visitor.bytes + ends.host.bytes;
  return { ...ends, [who]: { ...ends[who], resetAfterBytes: random.between(0, Math.floor(all * 0.4)) } };
}
