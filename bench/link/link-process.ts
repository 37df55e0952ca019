// The link as a process of its own. Takes its options as JSON, says {ready} when it listens; told "cut", it resets every
// connection and says how many.
import { Link, type LinkOptions } from "./link.ts";

const link = await Link.start(JSON.parse(process.argv[2] ?? "") as LinkOptions);
process.on("message", (message) => {
  if (message === "cut") process.send?.({ cut: link.cut() });
});
process.once("disconnect", () => process.exit());
process.send?.({ ready: true });
