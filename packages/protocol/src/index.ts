export { SUBPROTOCOL } from "./version.ts";
