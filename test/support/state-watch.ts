import type { Client, ClientEventOf, ClientState } from "@culvert/client";
import { EventPath } from "./event-path.ts";

/** The state events of a client, from now on. */
export class StateWatch extends EventPath<ClientState, ClientEventOf<"state">> {
  readonly #client: Client;

  constructor(client: Client) {
    super("client", (listener) => client.on("state", listener));
    this.#client = client;
  }

  /** Resolves when the client is in that state, now or later. For states that stay; `entered` for those that pass. */
  async reaches(state: ClientState, patienceMs?: number): Promise<void> {
    await this.holds(() => this.#client.state === state, `is ${state}`, patienceMs);
  }
}
