/** What a session counts, at one moment. */
export interface SessionCounters {
  readonly framesReceived: number;
  readonly replayedFrames: number;
  readonly replayedBytes: number;
  /** Memory of the frames that the peer has not acknowledged. */
  readonly replayBytes: number;
  readonly inFlightBytes: number;
  /** Promised to the peer beyond the initial windows. */
  readonly windowBytes: number;
}
