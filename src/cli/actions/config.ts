import {
  type Config,
  defaultOf,
  loadConfig,
  type SettingName,
  settingNames,
} from "../../config.ts";
import { BalancectlError } from "../../errors.ts";
import type { ConfigFlags } from "../commands/config.ts";
import type { Context } from "../context.ts";
import { exitCodeOf } from "../exit-codes.ts";
import { maskedSetting } from "../masked-setting.ts";
import { table } from "../output.ts";

interface Shown {
  readonly name: SettingName;
  /** As it would be written; null where there is none. Secrets are masked. */
  readonly value: string | null;
  readonly from: "flag" | "environment" | ".env" | "default";
}

/**
 * Shows the settings as a command would find them here, also where they are wrong.
 * @returns the exit code: 2 when something is wrong with them
 */
export async function config(context: Context, flags: ConfigFlags): Promise<number> {
  const { output, env, settingsFile } = context;
  const given = { HOST: flags.host, PORT: flags.port?.toString() };
  const { config, problems } = checked({ ...env, ...defined(given) });
  const shown = settingNames.map((name): Shown => {
    const flag = given[name as keyof typeof given];
    const text = flag ?? env[name];
    if (!text) return { name, value: defaultText(name, config), from: "default" };
    const inFile = settingsFile?.names.includes(name) ? ".env" : "environment";
    const from = flag === undefined ? inFile : "flag";
    return { name, value: maskedSetting(name, text), from };
  });
  const document = { settings: shown, file: settingsFile?.path ?? null, problems };
  output.result(document, () => {
    const rows = shown.map(({ name, value, from }) => [
      ...[name, value ?? "", from === "default" ? output.paint.dim(from) : from],
    ]);
    const lines = problems.map((problem) => output.paint.red(`✗ ${problem}`));
    return [table([["setting", "value", "from"], ...rows]), ...lines].join("\n");
  });
  if (settingsFile !== undefined) output.note(`.env is ${settingsFile.path}`);
  return problems.length === 0 ? 0 : exitCodeOf.CONFIG_INVALID;
}

function defined(given: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const set = Object.entries(given).filter(([, value]) => value !== undefined);
  return Object.fromEntries(set) as Record<string, string>;
}

function checked(env: Context["env"]): { config?: Config; problems: readonly string[] } {
  try {
    return { config: loadConfig(env), problems: [] };
  } catch (error) {
    if (!(error instanceof BalancectlError)) throw error;
    return { problems: error.message.split("\n") };
  }
}

function defaultText(name: SettingName, config: Config | undefined): string | null {
  // Where it would be; with a database of one's own there is none.
  if (name === "BALANCECTL_DATA_DIR") return config?.dataDir ?? null;
  const value = defaultOf(name);
  return value === undefined || String(value) === "" ? null : String(value);
}
