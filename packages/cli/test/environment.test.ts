import { describe, expect, it } from "vitest";
import { checkEnvironment } from "../src/environment.ts";
import { sentenceOf } from "./support.ts";

describe("checkEnvironment", () => {
  it("lets other variables be, also those that container platforms make of a service's name", () => {
    checkEnvironment({
      PATH: "/bin",
      TOKEN: "x",
      CULVERT_TOKEN: "x",
      CULVERT_NAME: "x",
      CULVERT_PORT: "tcp://10.0.0.1:9000",
      CULVERT_SERVICE_HOST: "10.0.0.1",
      CULVERT_PORT_9000_TCP_ADDR: "10.0.0.1",
    });
  });

  it.each([
    ["CULVERT_TOKN", "CULVERT_TOKEN"],
    ["CULVERT_TOKENS", "CULVERT_TOKEN"],
    ["CULVERT_TOKENFILE", "CULVERT_TOKEN_FILE"],
    ["CULVERT_LOGLEVEL", "CULVERT_LOG_LEVEL"],
  ])("refuses %s", (name, meant) => {
    expect(sentenceOf(() => checkEnvironment({ [name]: "secret" }))).toBe(
      `the environment variable ${name} is not known: did you mean ${meant}?`,
    );
  });
});
