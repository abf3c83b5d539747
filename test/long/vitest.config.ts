import { defineConfig } from "vitest/config";

/** Runs that take minutes and print figures; `*.long.ts`, so that the normal run passes them by. */
// biome-ignore lint/style/noDefaultExport: vitest takes its configuration from there
export default defineConfig({
  test: {
    include: ["test/long/*.long.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    setupFiles: ["test/support/each-file.ts"],
    testTimeout: 1_200_000,
    hookTimeout: 600_000,
    // One at a time: what is measured has the machine to itself.
    maxWorkers: 1,
    disableConsoleIntercept: true,
  },
});
