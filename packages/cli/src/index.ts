export { type InputStream, type OutputStream, run, type Streams } from "./run.ts";
export type { SignalHost } from "./signals.ts";
