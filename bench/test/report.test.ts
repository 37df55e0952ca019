import { expect, test } from "vitest";
import { json } from "../report/json.ts";
import { markdown } from "../report/markdown.ts";
import { groupsOf } from "../report/outcome.ts";
import { pictures } from "../report/picture.ts";
import { CULVERT, DIRECT, FAST, HALF_CLOSE, RATE, SECRET, SLOW, sampleOutcome } from "./sample.ts";

const outcome = sampleOutcome(
  new Map([
    [
      RATE,
      new Map<typeof FAST, number[] | string>([
        [DIRECT, [20, 20, 20]],
        [CULVERT, [6, 5, 7]],
        [FAST, [4, 4, 4]],
        [SLOW, "out of time"],
        [SECRET, [2, 2, 2]],
      ]),
    ],
    [
      HALF_CLOSE,
      new Map([
        [CULVERT, [1]],
        [FAST, [0]],
      ]),
    ],
  ]),
  { absent: [{ peer: SECRET, reason: "secret not on the PATH" }] },
);

test("compares like with like: a group for each protection, limits beside each", () => {
  const groups = groupsOf(outcome).map(({ title, contenders }) => [
    title,
    contenders.map(({ peer }) => peer.name).join(" "),
  ]);
  expect(groups).toEqual([
    ["CONNECT (local forward), plain", "direct culvert-ws fast slow"],
    ["CONNECT (local forward), encrypted", "direct secret"],
  ]);
});

test("writes medians, quartiles, ratios, failures and words into tables", () => {
  const text = markdown(outcome, ["bulk.svg"]);
  expect(text).toContain("| direct | 20.00 (20.00-20.00) |");
  expect(text).toContain("| **culvert-ws** | 6.00 (5.50-6.50) ×1.50 (1.38-1.63) |");
  expect(text).toContain("| fast | 4.00 (4.00-4.00) ×1.00 (1.00-1.00) |");
  expect(text).toContain("| slow | failed: out of time |");
  expect(text).toContain("| **culvert-ws** | kept |");
  expect(text).toContain("| fast | broken |");
  expect(text).toContain("Not measured: secret (secret not on the PATH).");
  expect(text).toContain("![bulk.svg](bulk.svg)");
});

test("begins with how Culvert stands to the best peer", () => {
  expect(markdown(outcome)).toContain("| Bulk: up | ×1.50 (1.38-1.63) of fast |");
});

test("states machine, versions, encryption and connections used", () => {
  const text = markdown(outcome);
  expect(text).toContain("Sample 1, 2 cores");
  expect(text).toContain("| culvert-ws | 1.0 | none | 1 |");
  expect(text).toContain("| secret | 1.0 | rot13 | - |");
});

test("keeps every single value in the JSON", () => {
  const report = JSON.parse(json(outcome)) as {
    cells: {
      figure: string;
      peer: string;
      values?: number[];
      failure?: string;
      ratio?: { median: number };
    }[];
  };
  const rate = report.cells.filter(({ figure }) => figure === "rate");
  expect(rate.find(({ peer }) => peer === "culvert-ws")).toMatchObject({
    values: [6, 5, 7],
    ratio: { median: 1.5 },
  });
  expect(rate.find(({ peer }) => peer === "slow")).toMatchObject({ failure: "out of time" });
});

test("draws a picture for each section that has bars", () => {
  const drawn = pictures(outcome);
  expect([...drawn.keys()]).toEqual(["bulk.svg"]);
  const svg = drawn.get("bulk.svg") ?? "";
  expect(svg).toMatch(/^<svg /);
  expect(svg).toContain("culvert-ws -L");
  expect(svg).toContain("6.00");
});
