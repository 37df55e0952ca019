import type { Client, ClientEventOf, ClientState } from "@culvert/client";
import { until } from "./deadline.ts";

/** The state events of a client, from now on. */
export class StateWatch {
  readonly events: ClientEventOf<"state">[] = [];
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
    client.on("state", (event) => this.events.push(event));
  }

  /** The states in the order in which they came. */
  get path(): ClientState[] {
    return this.events.map(({ current }) => current);
  }

  /** The codes of the causes with which that state was entered. */
  causes(state: ClientState): (string | undefined)[] {
    return this.events.filter(({ current }) => current === state).map(({ cause }) => cause?.code);
  }

  /** Resolves when the client is in that state, now or later. */
  async reaches(state: ClientState, patienceMs?: number): Promise<void> {
    await until(() => this.#client.state === state, `the client is ${state}`, patienceMs);
  }

  /** Resolves when that state was entered `count` times in all. */
  async entered(state: ClientState, count: number): Promise<void> {
    const often = (): number => this.path.filter((one) => one === state).length;
    await until(() => often() >= count, `${count} times ${state}`);
  }
}
