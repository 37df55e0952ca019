import { BORE } from "./bore.ts";
import { CHISEL } from "./chisel.ts";
import { CULVERT_WS, CULVERT_WSS } from "./culvert.ts";
import { DIRECT } from "./direct.ts";
import { FRP_PLAIN, FRP_TLS } from "./frp.ts";
import { OPENSSH, OPENSSH_AES } from "./openssh.ts";
import type { Peer } from "./peer.ts";
import { RATHOLE } from "./rathole.ts";
import { SOCAT } from "./socat.ts";
import { WSTUNNEL_WS, WSTUNNEL_WSS } from "./wstunnel.ts";
import { WSTUNNEL_NPM } from "./wstunnel-npm.ts";

/** In the order of the report. */
export const ALL_PEERS: readonly Peer[] = [
  DIRECT,
  SOCAT,
  CULVERT_WS,
  WSTUNNEL_WS,
  WSTUNNEL_NPM,
  FRP_PLAIN,
  RATHOLE,
  BORE,
  CULVERT_WSS,
  CHISEL,
  WSTUNNEL_WSS,
  FRP_TLS,
  OPENSSH,
  OPENSSH_AES,
];
