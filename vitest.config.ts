import { defineConfig } from "vitest/config";

// Packages that import each other meet their sources, not the last build: see `exports` in any package.json.
const resolve = { conditions: ["culvert-source", "node", "import", "default"] };

export default defineConfig({
  test: {
    // The JSON report holds the counts that CI prints and checks.
    reporters: ["default", ["json", { outputFile: "test-results/vitest.json" }]],
    projects: [
      {
        resolve,
        ssr: { resolve },
        test: {
          name: "unit",
          include: ["packages/*/test/**/*.test.ts", "bench/test/**/*.test.ts"],
          exclude: ["**/node_modules/**", "**/*.sim.test.ts"],
          testTimeout: 30_000, // no test is about speed, and the machine may be busy
          hookTimeout: 30_000,
          expect: { poll: { timeout: 15_000 } },
          sequence: { groupOrder: 0 },
        },
      },
      {
        resolve,
        ssr: { resolve },
        test: {
          name: "simulation",
          include: ["packages/*/test/**/*.sim.test.ts"],
          testTimeout: 300_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        resolve,
        ssr: { resolve },
        test: {
          name: "integration",
          include: ["test/{integration,bad-input,fuzz}/**/*.test.ts"],
          exclude: ["test/bad-input/command-line*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 30_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        // Faults that last: these wait more than they work, so two files share even a small machine.
        resolve,
        ssr: { resolve },
        test: {
          name: "faults",
          include: ["test/faults/**/*.test.ts"],
          exclude: ["**/*.e2e.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 30_000,
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
        },
      },
      {
        // The built command, as processes of its own. One file at a time: these move gigabytes and measure memory.
        test: {
          name: "e2e",
          include: [
            "test/e2e/**/*.test.ts",
            "test/faults/**/*.e2e.test.ts",
            "test/bad-input/command-line*.test.ts",
          ],
          testTimeout: 600_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
