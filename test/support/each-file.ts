/** Run before each test file; the modules of all files are loaded once a worker. */
import { afterAll } from "vitest";
import { cleanUp } from "./cleanup.ts";

// Dropping thirty databases took a minute on a machine that had other things to do.
afterAll(cleanUp, 300_000);
