import { parseEndpoint } from "../../packages/protocol/src/endpoint.ts";
import { decodeFrame, encodeOpen, encodeTunnelOpen, type Frame } from "../../packages/protocol/src/frame.ts";

/**
 * The same message; but one that would make the other side dial or listen anywhere names `target`, or a free port of
 * loopback, instead: a fuzzer has no business with machines that it comes upon by chance.
 */
export function keptAtHome(message: Uint8Array, target: string): Uint8Array {
  const frame = decoded(message);
  if (frame?.type === "open" && frame.request?.target !== undefined && isEndpoint(frame.request.target)) {
    return encodeOpen(frame.streamId, { ...frame.request, target });
  }
  if (frame?.type === "tunnelOpen" && isEndpoint(frame.listen)) {
    return encodeTunnelOpen(frame.tunnelId, "tcp://127.0.0.1:0", frame.name);
  }
  return message;
}

function decoded(message: Uint8Array): Frame | undefined {
  try {
    return decodeFrame(message);
  } catch {
    return undefined;
  }
}

function isEndpoint(text: string): boolean {
  try {
    parseEndpoint(text);
    return true;
  } catch {
    return false;
  }
}
