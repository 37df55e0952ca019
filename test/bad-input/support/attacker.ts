import { codeOfWire, type ErrorCode } from "@culvert/protocol";
import { encodeOpen, encodeTunnelOpen, FRAME } from "../../../packages/protocol/src/frame.ts";
import type { RawClient } from "./raw-client.ts";

/** What a server under siege offers to play with. */
export interface Field {
  readonly port: number;
  /** The address of a service that sends back what it gets, and of one where nobody ever answers. */
  readonly echo: string;
  readonly mute: string;
}

/** One client that breaks the rules, or bends them: a session with stream 1 open to the echo, and 3 forgotten. */
export class Attacker {
  readonly client: RawClient;
  readonly field: Field;

  constructor(client: RawClient, field: Field) {
    this.client = client;
    this.field = field;
  }

  send(...frames: readonly Uint8Array[]): void {
    this.client.send(...frames);
  }

  /** Opens a stream and waits for its ACCEPT. */
  async open(id: number, target: string = this.field.echo): Promise<void> {
    this.send(encodeOpen(id, { kind: "tcp", target }));
    await this.client.frame(FRAME.accept);
  }

  /** Opens a stream; the code with which it is refused. */
  async refusal(open: Uint8Array): Promise<ErrorCode> {
    this.send(open);
    const refuse = await this.client.frame(FRAME.refuse);
    return codeOfWire(refuse.readUInt16BE(7));
  }

  /** Asks for a listener; the code with which that is refused. */
  async tunnelRefusal(id: number, listen: string): Promise<ErrorCode> {
    this.send(encodeTunnelOpen(id, listen, ""));
    const closed = await this.client.frame(FRAME.tunnelClosed);
    return codeOfWire(closed.readUInt16BE(5));
  }
}
