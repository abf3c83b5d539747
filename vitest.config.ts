import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Three files at a time: tests start servers and databases of their own, and wait for much of their time.
    maxWorkers: 3,
  },
});
