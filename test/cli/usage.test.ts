/** The command line as a whole: help, wrong usage, settings, colours, --json. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createOutput } from "../../src/cli/output.ts";
import { packageRoot } from "../../src/package-root.ts";
import { afterFile } from "../support/cleanup.ts";
import { createTestDatabase } from "../support/database/database.ts";
import { connecting } from "../support/server/command-line.ts";
import { balancectl, script, startServer } from "../support/server/program.ts";

const usage = "(balancectl --help shows all commands, balancectl <command> --help one)\n";
const nowhere = { DATABASE_URL: "postgres://nobody@127.0.0.1:1/nowhere" };

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "balancectl-usage-"));
  afterFile(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** Names of the commands in a help text, without what help says of their arguments. */
function commandsIn(help: string): string[] {
  const [, list = ""] = /\nCommands:\n((?: {2}.*\n)+)/.exec(help) ?? [];
  return [...list.matchAll(/^ {2}(\S+)/gm)].map(([, name = ""]) => name);
}

const rootHelp = (await balancectl(["--help"])).stdout;
const helps = new Map<string, string>([["", rootHelp]]);
await Promise.all(
  commandsIn(rootHelp).map(async (name) => {
    const { stdout } = await balancectl([name, "--help"]);
    helps.set(name, stdout);
    for (const inner of commandsIn(stdout)) {
      helps.set(`${name} ${inner}`, (await balancectl([name, inner, "--help"])).stdout);
    }
  }),
);

test("worker is not for people: no help shows it, and by itself it does nothing", async () => {
  expect(commandsIn(rootHelp)).not.toContain("worker");
  const { code, stdout, stderr } = await balancectl(["worker"]);
  expect([code, stdout, stderr]).toEqual([
    2,
    "",
    "balancectl: worker is what `balancectl serve --workers` starts; by itself it has nothing to do\n",
  ]);
});

describe("help", () => {
  test("names every command", () => {
    expect(commandsIn(rootHelp)).toEqual(
      expect.arrayContaining(["serve", "migrate", "adjust", "stress"]),
    );
  });

  test.each([...helps.keys()])("of balancectl %s ends with examples", (name) => {
    const help = helps.get(name) as string;
    const examples = /\nExamples:\n((?: {2}\$ balancectl .*\n)+)$/.exec(help)?.[1];
    expect(examples, help).toBeDefined();
    const options = new Set(help.match(/--[a-z-]+/g));
    for (const line of examples?.trimEnd().split("\n") ?? []) {
      expect(line.startsWith(`  $ balancectl ${name}`)).toBe(true);
      // What an example uses is explained above it.
      for (const flag of line.match(/ --[a-z-]+/g) ?? []) {
        if (name !== "") expect(options).toContain(flag.trim());
      }
    }
  });

  test.each([...helps.keys()].filter((name) => !["", "users"].includes(name)))(
    "of balancectl %s explains --json",
    (name) => {
      expect(helps.get(name)).toMatch(/^ {2}--json +one JSON document on stdout/m);
    },
  );

  test.each([...helps.keys()])("of balancectl %s fits 80 columns", (name) => {
    const long = helps
      .get(name)
      ?.split("\n")
      .filter((line) => line.length > 80);
    expect(long).toEqual([]);
  });

  test("comes by other words as well", async () => {
    expect(await balancectl(["help"])).toEqual({ code: 0, stdout: rootHelp, stderr: "" });
    for (const name of ["adjust", "users", "users list"]) {
      expect((await balancectl(["help", ...name.split(" ")])).stdout).toBe(helps.get(name));
    }
  });

  test("-h is --help", async () => {
    expect((await balancectl(["adjust", "-h"])).stdout).toBe(helps.get("adjust"));
  });

  test("is what comes when nothing is asked, as wrong usage", async () => {
    expect(await balancectl([])).toEqual({ code: 2, stdout: "", stderr: rootHelp });
  });

  test("asks for no database and no settings", async () => {
    const env = { PORT: "x", DATABASE_URL: "x", LOG_LEVEL: "x" };
    expect((await balancectl(["serve", "--help"], env)).code).toBe(0);
  });
});

test("--version is that of the package", async () => {
  const { version } = JSON.parse(await readFile(join(packageRoot, "package.json"), "utf8"));
  for (const flag of ["--version", "-V", "-v", "version"]) {
    expect(await balancectl([flag])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
  }
});

describe("wrong usage", () => {
  test.each([
    [["adjsut", "1", "2"], "error: unknown command 'adjsut'\n(Did you mean adjust?)\n"],
    [["migrat"], "error: unknown command 'migrat'\n(Did you mean migrate?)\n"],
    [["frobnicate"], "error: unknown command 'frobnicate'\n"],
    [["adjust", "1", "2", "--jsn"], "error: unknown option '--jsn'\n(Did you mean --json?)\n"],
    [["serve", "--prot", "1"], "error: unknown option '--prot'\n(Did you mean --port?)\n"],
    [["--frob"], "error: unknown option '--frob'\n"],
    [["serve", "--port"], "error: option '--port <port>' argument missing\n"],
    [
      ["serve", "--port", "x"],
      "error: option '--port <port>' argument 'x' is invalid. It must be a whole number from 0 to 65535.\n",
    ],
    [
      ["serve", "--port", "65536"],
      "error: option '--port <port>' argument '65536' is invalid. It must be a whole number from 0 to 65535.\n",
    ],
    [["serve", "now"], "error: too many arguments for 'serve'. Expected 0 arguments but got 1.\n"],
  ])("%j", async (args, message) => {
    expect(await balancectl(args)).toEqual({ code: 2, stdout: "", stderr: message + usage });
  });
});

test("--json before the command is --json behind it", async () => {
  const before = await balancectl(["--json", "adjust", "1", "2"], nowhere);
  const behind = await balancectl(["adjust", "1", "2", "--json"], nowhere);
  expect(before).toEqual(behind);
  expect(JSON.parse(before.stdout).error.code).toBe("DATABASE_UNAVAILABLE");
});

describe("settings", () => {
  test("that are wrong are all named at once", async () => {
    const env = {
      PORT: "99999",
      LOG_LEVEL: "loud",
      DATABASE_URL: "mysql://root:very-secret@localhost/x",
      BALANCECTL_LANES: "0",
      BALANCECTL_LOCK_TIMEOUT_MS: "2s",
    };
    const lines = [
      'PORT must be a whole number from 0 to 65535 (it is "99999")',
      'LOG_LEVEL must be one of fatal, error, warn, info, debug, trace, silent (it is "loud")',
      'BALANCECTL_LANES must be a whole number from 1 to 64 (it is "0")',
      'BALANCECTL_LOCK_TIMEOUT_MS must be a whole number from 1 to 600000 (it is "2s")',
      "DATABASE_URL must be a URL that begins with postgres:// or postgresql://",
    ];
    const runs = await Promise.all(
      [["serve"], ["migrate"], ["adjust", "1", "2"], ["stress", "--count", "1"]].map((args) =>
        balancectl(args, env),
      ),
    );
    for (const { code, stdout, stderr } of runs) {
      expect([code, stdout]).toEqual([2, ""]);
      // What was being done may stand before it.
      expect(stderr.slice(stderr.indexOf("balancectl: "))).toBe(
        `balancectl: ${lines.join("\n  ")}\n`,
      );
    }
    expect(await balancectl(["adjust", "1", "2", "--json"], env)).toEqual({
      code: 2,
      stdout: `${JSON.stringify({
        success: false,
        error: { code: "CONFIG_INVALID", message: lines.join("\n") },
      })}\n`,
      stderr: "",
    });
  });

  test("are read from .env in the folder it runs in", async () => {
    const cwd = await folder();
    const url = await createTestDatabase();
    await writeFile(join(cwd, ".env"), `# where\nDATABASE_URL=${url}\nLOG_LEVEL="warn"\n`);
    const { code, stdout, stderr } = await balancectl(["adjust", "1", "-2"], {}, { cwd });
    expect([code, stdout, stderr]).toEqual([
      0,
      "User 1: 10,000 → 9,998 (-2)\n",
      `Settings from ${join(cwd, ".env")}, the database too: DATABASE_URL\n${connecting}`,
    ]);
  });

  test("of the environment win over .env", async () => {
    const cwd = await folder();
    const url = await createTestDatabase();
    await writeFile(join(cwd, ".env"), "DATABASE_URL=postgres://nobody@127.0.0.1:1/nowhere\n");
    const run = await balancectl(["adjust", "1", "-2"], { DATABASE_URL: url }, { cwd });
    expect([run.code, run.stdout]).toEqual([0, "User 1: 10,000 → 9,998 (-2)\n"]);
    const other = await balancectl(["adjust", "1", "-2"], {}, { cwd });
    expect([other.code, other.stderr.split("\n")[2]]).toEqual([
      1,
      "balancectl: The database cannot be reached; nothing was changed (connect ECONNREFUSED 127.0.0.1:1)",
    ]);
  });

  test("of flags win over both", async () => {
    const cwd = await folder();
    await writeFile(join(cwd, ".env"), "HOST=192.0.2.1\nPORT=wrong\n");
    const env = { DATABASE_URL: await createTestDatabase(), HOST: "192.0.2.2" };
    const server = await startServer(env, ["--host", "127.0.0.1"], { cwd });
    expect(new URL(server.url).hostname).toBe("127.0.0.1");
    expect(await server.stop()).toBe(0);
  });

  test("in .env that are wrong are named like any", async () => {
    const cwd = await folder();
    await writeFile(join(cwd, ".env"), "PORT=x\n");
    const { code, stderr } = await balancectl(["serve"], nowhere, { cwd });
    expect([code, stderr]).toEqual([
      2,
      `Settings from ${join(cwd, ".env")}: PORT\n` +
        'balancectl: PORT must be a whole number from 0 to 65535 (it is "x")\n',
    ]);
  });

  test("in a .env that cannot be read: said without a stack trace", async () => {
    const cwd = await folder();
    // As an editor saves it that is told "Unicode".
    await writeFile(
      join(cwd, ".env"),
      Buffer.from("\ufeffDATABASE_URL=postgres://h/d\n", "utf16le"),
    );
    const { code, stdout, stderr } = await balancectl(["adjust", "1", "2"], nowhere, { cwd });
    expect([code, stdout, stderr]).toEqual([
      2,
      "",
      "balancectl: .env cannot be read: it is not UTF-8 (saved as UTF-16 perhaps); save it as UTF-8\n",
    ]);
  });

  test.skipIf(process.getuid?.() === 0)("in a .env that may not be read", async () => {
    const cwd = await folder();
    await writeFile(join(cwd, ".env"), "PORT=1\n", { mode: 0o000 });
    const { code, stderr } = await balancectl(["adjust", "1", "2"], nowhere, { cwd });
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(/^balancectl: \.env cannot be read: EACCES/),
    ]);
  });

  test("in a .env that begins with the mark of its encoding", async () => {
    const cwd = await folder();
    await writeFile(join(cwd, ".env"), "\ufeffDATABASE_URL=mysql://h/d\r\nexport PORT=x\r\n");
    const { code, stderr } = await balancectl(["adjust", "1", "2"], {}, { cwd });
    expect([code, stderr]).toEqual([
      2,
      `Settings from ${join(cwd, ".env")}, the database too: DATABASE_URL, PORT\n` +
        'balancectl: PORT must be a whole number from 0 to 65535 (it is "x")\n' +
        "  DATABASE_URL must be a URL that begins with postgres:// or postgresql://\n",
    ]);
  });

  test("are not what a .env says to other programs, nor a folder of its name", async () => {
    const cwd = await folder();
    await writeFile(join(cwd, ".env"), "NODE_OPTIONS=--no-such-option\nLANES=x\n");
    const run = () => balancectl(["migrate", "status"], nowhere, { cwd });
    expect((await run()).stderr).toContain("ECONNREFUSED");
    await rm(join(cwd, ".env"));
    await mkdir(join(cwd, ".env"));
    expect((await run()).stderr).toContain("ECONNREFUSED");
  });
});

/** Ways to fail that need no database, with their exit codes. */
const failures: [args: string[], code: number][] = [
  [["adjust", "1", "2"], 1],
  [["migrate"], 1],
  [["migrate", "status"], 1],
  [["serve", "--port", "0", "--wait", "0"], 1],
  [["serve", "--port", "0", "--wait", "0", "--no-migrate"], 1],
  [["adjust", "1", "0"], 2],
  [["adjust", "1", "-2", "--metadata", "{"], 2],
  [["frobnicate"], 2],
  [["users"], 2],
];

describe("every failure", () => {
  test.each(failures)("%j: words, no stack trace, no escape codes", async (args, code) => {
    // A colour that is forced is for terminals all the same.
    const run = await balancectl(args, { ...nowhere, FORCE_COLOR: "1", NO_COLOR: undefined });
    expect(run.code).toBe(code);
    expect(run.stdout).toBe("");
    expect(run.stderr).not.toBe("");
    expect(run.stderr).not.toMatch(/^\s+at /m);
    expect(run.stderr).not.toContain("\u001b");
    expect(run.stderr).not.toContain("Warning");
  });

  test.each(failures)("%j --json: one document on stdout and nothing else", async (args, code) => {
    const run = await balancectl([...args, "--json"], nowhere);
    expect([run.code, run.stderr]).toEqual([code, ""]);
    expect(run.stdout.endsWith("}\n")).toBe(true);
    expect(JSON.parse(run.stdout)).toEqual({
      success: false,
      error: { code: expect.stringMatching(/^[A-Z_]+$/), message: expect.any(String) },
    });
  });

  test("LOG_LEVEL=debug shows where it came from, on stderr", async () => {
    const env = { ...nowhere, LOG_LEVEL: "debug" };
    const { code, stdout, stderr } = await balancectl(["adjust", "1", "2", "--json"], env);
    expect([code, JSON.parse(stdout).error.code]).toEqual([1, "DATABASE_UNAVAILABLE"]);
    expect(stderr).toMatch(/^\s+at /m);
  });
});

describe("colours", () => {
  test("are not there when piped", async () => {
    const env = { DATABASE_URL: await createTestDatabase(), NO_COLOR: "", FORCE_COLOR: "3" };
    const runs = [
      ["--help"],
      ["adjust", "1", "-2"],
      ["migrate", "status"],
      ["migrate", "down", "--yes"],
    ];
    for (const args of runs) {
      const { code, stdout, stderr } = await balancectl(args, env);
      expect(code).toBe(0);
      expect(stdout + stderr).not.toContain("\u001b");
    }
  });

  test.each([{ NO_COLOR: "1" }, { TERM: "dumb" }])("nor on a terminal with %j", (env) => {
    const written: string[] = [];
    const stream = { isTTY: true, write: (text: string) => written.push(text) };
    const terminal = stream as unknown as NodeJS.WriteStream;
    const { signal } = new AbortController();
    const output = createOutput({ stdout: terminal, stderr: terminal, env }, false, signal);
    output.note("a remark");
    output.progress("working").end("done");
    output.result({}, () => output.paint.red("red"));
    expect(written.join("")).toBe("a remark\nworking\ndone\nred\n");
  });
});

test("a reader that has seen enough is no error", async () => {
  const child = spawn(process.execPath, [script, "--help"], { stdio: ["ignore", "pipe", "pipe"] });
  let stderr = "";
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  child.stdout.destroy();
  const [code] = await once(child, "close");
  expect([code, stderr]).toEqual([0, ""]);
});
