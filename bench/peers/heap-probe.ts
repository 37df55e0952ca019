// Loaded before a server of ours: tells whoever started it how big the heap is after a full collection.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

process.on("message", (message) => {
  if (message !== "heap") return;
  collect();
  process.send?.({ heapBytes: process.memoryUsage().heapUsed });
});
process.channel?.unref();
