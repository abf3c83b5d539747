import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    setupFiles: ["test/support/each-file.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Three files at a time: tests start servers and databases of their own, and wait for much of their time.
    maxWorkers: 3,
    // Loading all that a file imports anew for each of 80 files took a fifth of the suite's processor time.
    isolate: false,
  },
});
