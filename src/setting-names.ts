/** Names of settings that do not begin with BALANCECTL_: what they are is in config.ts. */
const shared: readonly string[] = ["HOST", "PORT", "DATABASE_URL", "LOG_LEVEL"];

/** By the name alone: every start looks into .env, and config.ts with its checks takes half as long again. */
export function isSettingName(name: string): boolean {
  return name.startsWith("BALANCECTL_") || shared.includes(name);
}
