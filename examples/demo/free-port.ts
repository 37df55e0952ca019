import { once } from "node:events";
import { createServer } from "node:net";

/** `port` if nobody has it now, else 0, which means any. */
export async function portOrAny(port: number): Promise<number> {
  const probe = createServer();
  try {
    probe.listen(port, "127.0.0.1");
    await once(probe, "listening");
    return port;
  } catch {
    return 0;
  } finally {
    probe.close();
  }
}
