import { codeOfWire, decodeHandshake, type ErrorCode } from "@culvert/protocol";
import { encodeAck, encodePing, FRAME, isSequenced } from "../../../packages/protocol/src/frame.ts";
import { soon } from "../../support/deadline.ts";
import type { CloseCode, RawWebSocket } from "./raw-web-socket.ts";

/** How the other side ended a session, or refused one. */
export interface Farewell {
  /** Of the CLOSE or the REJECT; undefined when neither came. */
  readonly code: ErrorCode | undefined;
  readonly close: CloseCode;
}

let tokens = 0;

/** One end of an attached session, either role, by hand: it sends what it is told to and knows no rule. */
export class RawPeer implements Disposable {
  readonly web: RawWebSocket;
  /** Sequenced frames that came over this transport. */
  received = 0;

  constructor(web: RawWebSocket) {
    this.web = web;
  }

  send(...messages: readonly Uint8Array[]): void {
    this.web.send(...messages);
  }

  /** The next frame of that type; those before it are passed over, and counted. */
  async frame(type: number): Promise<Buffer> {
    for (let message = await this.#next(); message !== undefined; message = await this.#next()) {
      if (message[0] === type) return message;
    }
    throw new Error(`closed with ${await this.web.closed} before a frame of type ${type}`);
  }

  /** The other side has processed all that was sent, and goes on: it answers a PING that was sent behind it. */
  async answers(): Promise<void> {
    tokens += 1;
    const ping = encodePing(tokens);
    this.send(ping);
    for (;;) {
      const pong = await this.frame(FRAME.pong);
      if (pong.readUInt32BE(1) === tokens) return;
    }
  }

  /** Acknowledges what came: who never does is given up as stalled. */
  acknowledge(): void {
    this.send(encodeAck(this.received));
  }

  /** Waits for the end of this transport: the code that was said, and the close code. */
  async farewell(): Promise<Farewell> {
    let code: ErrorCode | undefined;
    for (let message = await this.#next(); message !== undefined; message = await this.#next()) {
      if (message[0] === FRAME.close) code = codeOfWire(message.readUInt16BE(1));
      if (message[0] === FRAME.reject) {
        const answer = decodeHandshake(message);
        if (answer.type === "reject") ({ code } = answer.reject);
      }
    }
    return { code, close: await soon(this.web.closed, "the transport is closed") };
  }

  [Symbol.dispose](): void {
    this.web[Symbol.dispose]();
  }

  async #next(): Promise<Buffer | undefined> {
    const message = await this.web.next();
    if (message !== undefined && message.length > 0 && isSequenced(message)) this.received += 1;
    return message;
  }
}
