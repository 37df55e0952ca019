import { expect, test } from "vitest";
import { usersJsonSchema } from "../src/users-schema.ts";

test("users.schema.json, which editors complete the file by, is up to date: npx -y pnpm@12.21.0 --filter @culvert/policy schema", async () => {
  const text = `${JSON.stringify(usersJsonSchema(), undefined, 2)}\n`;
  await expect(text).toMatchFileSnapshot("../users.schema.json");
});
