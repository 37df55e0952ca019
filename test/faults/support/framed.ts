import { until } from "../../support/deadline.ts";
import { TunnelFixture } from "../../support/tunnel-fixture.ts";
import { FrameProxy } from "./frame-proxy.ts";

export interface Framed extends AsyncDisposable {
  readonly fixture: TunnelFixture;
  readonly proxy: FrameProxy;
}

/** A fixture whose client comes through a proxy that knows frames; its session is open and proven. */
export async function framed(session: object = {}): Promise<Framed> {
  let opened: FrameProxy | undefined;
  const server = (): string => `ws://127.0.0.1:${opened?.port}/`;
  const fixture = await TunnelFixture.prepare({ server: { session }, client: { server, session } });
  const proxy = await FrameProxy.start(fixture.server.address?.port ?? 0);
  opened = proxy;
  await fixture.client.start();
  await until(() => fixture.client.stats().session?.link.rttMs !== undefined, "the session is proven");
  const close = async (): Promise<void> => {
    await fixture[Symbol.asyncDispose]();
    await proxy[Symbol.asyncDispose]();
  };
  return { fixture, proxy, [Symbol.asyncDispose]: close };
}
