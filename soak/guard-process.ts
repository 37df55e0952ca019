// Ends what a soak has started when the soak itself is gone, whatever ended it. Its stdin says "+PID" and "-PID", and its
// end says that nobody is left to care.
import { createInterface } from "node:readline";

// Ctrl-C in a terminal reaches every process of it; this one goes last.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);

const alive = new Set<number>();
for await (const line of createInterface({ input: process.stdin })) {
  const pid = Number(line.slice(1));
  if (line.startsWith("+")) alive.add(pid);
  else alive.delete(pid);
}
for (const pid of alive) {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It was faster.
  }
}
