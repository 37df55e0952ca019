import { expect, test } from "vitest";
import { SUBPROTOCOL } from "../src/version.ts";

test("the subprotocol is a token that may stand in Sec-WebSocket-Protocol (RFC 6455, section 4.1)", () => {
  expect(SUBPROTOCOL).toMatch(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/);
});
