import { defineConfig } from "vitest/config";

/** What a plugin's shell needs, wherever Node was started from. Which tiers there are is decided by the path as it was. */
const PATH = [...new Set([...(process.env.PATH ?? "").split(":"), "/usr/bin", "/bin"])].join(":");

export default defineConfig({
  test: {
    env: { PATH, GO_PLUGIN_SSH_TEST_PATH: process.env.PATH ?? "" },
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/tiers/required.ts", "test/tiers/build.ts", "test/tiers/images.ts"],
    reporters: ["default", "./test/tiers/reporter.ts"],
    pool: "forks",
    // Most tests wait for processes and servers more than they compute.
    maxWorkers: 3,
    // Real servers and real plugins start in these tests; a limit is there to end a hang, not to measure.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    retry: 0,
    allowOnly: false,
  },
});
