import type { Contender } from "../contender.ts";
import type { Machine } from "../machine.ts";
import type { Figure } from "../measures/figure.ts";
import type { Mode, Peer } from "../peers/peer.ts";
import type { Outcome } from "../report/outcome.ts";
import { Results } from "../results.ts";
import type { Settings } from "../settings.ts";

/** A peer that nobody can start: for what is made of figures, and not how they come. */
export function samplePeer(name: string, kind: Peer["kind"], more: Partial<Peer> = {}): Peer {
  return {
    ...{ name, kind, family: name, security: "none", cipher: "none", modes: ["connect", "listen"] },
    missing: async () => undefined,
    version: async () => "1.0",
    startServer: () => Promise.reject(new Error("a sample")),
    startClient: () => Promise.reject(new Error("a sample")),
    ...more,
  };
}

export const DIRECT: Peer = samplePeer("direct", "limit");
export const CULVERT: Peer = samplePeer("culvert-ws", "culvert", { family: "culvert" });
export const FAST: Peer = samplePeer("fast", "peer");
export const SLOW: Peer = samplePeer("slow", "peer");
export const SECRET: Peer = samplePeer("secret", "peer", { security: "encrypted", cipher: "rot13" });

export const RATE: Figure = {
  ...{ id: "rate", measure: "bulk", section: "Bulk", title: "up", unit: "Gbit/s" },
  ...{ better: "higher", digits: 2 },
};
export const TIME: Figure = {
  ...{ id: "time", measure: "latency", section: "Latency", title: "idle", unit: "µs" },
  ...{ better: "lower", digits: 0 },
};
export const HALF_CLOSE: Figure = {
  ...{ id: "half", measure: "half-close", section: "Half-close", title: "half-close", unit: "" },
  ...{ better: "higher", digits: 0, words: ["broken", "kept"] },
};

const SETTINGS: Settings = {
  ...{ rounds: 3, measures: ["bulk"], peers: undefined, modes: ["connect"], seconds: 1, delaysMs: [50] },
  ...{ megabitsPerSecond: 1000, lossRate: 0.001, idleStreams: [1000], idleClients: 0, isFull: false },
  out: "/nowhere",
};

const MACHINE: Machine = {
  ...{ processor: "Sample 1", cores: 2, memoryGiB: 4, kernel: "6", governor: "none", node: "24" },
  ...{ iperf3: "iperf 3", openssl: "3", startedAt: "2026-01-01T00:00:00.000Z" },
};

export function contender(peer: Peer, mode: Mode = "connect"): Contender {
  return { peer, mode };
}

/** An outcome with a value for each round of each peer in CONNECT mode. */
export function sampleOutcome(
  values: ReadonlyMap<Figure, ReadonlyMap<Peer, readonly number[] | string>>,
  more: Partial<Outcome> = {},
): Outcome {
  const results = new Results();
  const peers = new Set<Peer>();
  for (const [figure, byPeer] of values) {
    for (const [peer, rounds] of byPeer) {
      peers.add(peer);
      if (typeof rounds === "string") results.fail(figure, contender(peer), rounds);
      else for (const [round, value] of rounds.entries()) results.add(figure, contender(peer), round, value);
    }
  }
  return {
    ...{ machine: MACHINE, settings: SETTINGS, results, absent: [] },
    contenders: [...peers].map((peer) => contender(peer)),
    figures: [...values.keys()],
    versions: new Map([...peers].map((peer) => [peer, "1.0"])),
    connections: new Map([["culvert-ws connect", 1]]),
    ...more,
  };
}
