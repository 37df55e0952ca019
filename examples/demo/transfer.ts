import { once } from "node:events";
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { json } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { Meter } from "./meter.ts";
import { pseudoRandom } from "./pseudo-random.ts";
import type { UploadReceipt } from "./service.ts";
import { MIB } from "./units.ts";

/** A transfer to be made by a visitor of a tunnel. */
export interface Transfer {
  readonly tunnel: "CONNECT" | "LISTEN";
  /** As the visitor sees it. */
  readonly direction: "download" | "upload";
  /** Where the tunnel listens. */
  readonly url: string;
}

/** What became of it: seen where the bytes were sent, and where they arrived. */
export interface Outcome extends Transfer {
  readonly sent: Pick<UploadReceipt, "bytes" | "sha256">;
  readonly received: UploadReceipt;
}

/** Makes all transfers at once. @throws Error naming the transfer that broke off. */
export function transferAll(
  transfers: readonly Transfer[],
  mib: number,
  onBytes: (count: number) => void,
): Promise<Outcome[]> {
  return Promise.all(
    transfers.map(async (transfer) => {
      const meter = new Meter(onBytes);
      const run = transfer.direction === "download" ? download : upload;
      try {
        return { ...transfer, ...(await run(transfer.url, mib, meter)) };
      } catch (error) {
        const { tunnel, direction } = transfer;
        throw new Error(`the ${tunnel} ${direction} broke off after ${meter.bytes} bytes: ${error}`, {
          cause: error,
        });
      }
    }),
  );
}

async function download(url: string, mib: number, meter: Meter): Promise<Pick<Outcome, "sent" | "received">> {
  const response = await answerTo(request(`${url}/bytes/${mib}`, { agent: false }).end());
  await meter.drain(response);
  return {
    sent: { bytes: mib * MIB, sha256: String(response.trailers["content-sha256"]) },
    received: meter,
  };
}

async function upload(url: string, mib: number, meter: Meter): Promise<Pick<Outcome, "sent" | "received">> {
  const asking = request(`${url}/bytes`, { method: "PUT", agent: false });
  const answered = answerTo(asking);
  await Promise.all([pipeline(pseudoRandom(url, mib * MIB), meter.pass, asking), answered]);
  return { sent: meter, received: (await json(await answered)) as UploadReceipt };
}

async function answerTo(asking: ClientRequest): Promise<IncomingMessage> {
  // What breaks later is heard where the bytes are, but an 'error' that nobody listens to would end the process.
  asking.on("error", () => undefined);
  const [response] = (await once(asking, "response")) as [IncomingMessage];
  if (response.statusCode !== 200) throw new Error(`the service answered ${response.statusCode}`);
  return response;
}
