/** What a process of the demo is given at its start. */
export interface Script {
  readonly token: string;
  /** For the client: where its server is, as far as it knows. */
  readonly serverUrl?: string;
  /** For the client: what the CONNECT tunnel leads to. */
  readonly target?: string;
  /** For the client: the ports that the two tunnels listen on; 0 takes a free one. */
  readonly connectPort?: number;
  readonly listenPort?: number;
}

/** What it tells when it runs. */
export interface Ready {
  readonly type: "ready";
  readonly pid: number;
  /** The server: its port, and its service's. */
  readonly port?: number;
  readonly servicePort?: number;
  /** The client: where the two tunnels listen. */
  readonly connectUrl?: string;
  readonly listenUrl?: string;
}

/** The counters of its side. */
export interface Stats {
  readonly type: "stats";
  /** How many sessions there have been. */
  readonly sessions: number;
  readonly link: LinkStats;
  readonly rssBytes: number;
}

/** The part of a session's counters that the demo shows. */
interface LinkStats {
  readonly state: "attached" | "detached" | "ended";
  readonly resumes: number;
  readonly replayedFrames: number;
  readonly replayedBytes: number;
  /** The last round trip, and the shortest one over this WebSocket. */
  readonly rttMs: number | undefined;
  readonly minRttMs: number | undefined;
}

/** The client has a WebSocket again, or has lost it. */
interface LinkChange {
  readonly type: "open" | "detached";
}

export type Message = Ready | Stats | LinkChange;
export type MessageOf<T extends Message["type"]> = Extract<Message, { readonly type: T }>;
