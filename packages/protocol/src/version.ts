/** The WebSocket subprotocol that both ends must agree on before any frame is sent. */
export const SUBPROTOCOL = "culvert.v1";
