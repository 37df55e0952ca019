/** The client listens and the server dials (`ssh -L`). */
export const CONNECT = "connect";
/** The server listens and the client dials (`ssh -R`). */
export const LISTEN = "listen";

/** Which end of a tunnel listens; named after what the server does. */
export type Mode = typeof CONNECT | typeof LISTEN;
