/** A setting as it may be shown: whoever looks over a shoulder, or reads a ticket, learns no secret. */
export function maskedSetting(name: string, text: string): string {
  if (/_TOKENS?$/.test(name)) return mask;
  return name === "DATABASE_URL" ? maskedUrl(text) : text;
}

const mask = "********";

/** Without the password, wherever it stands. What is no URL, and may be all password, is masked as a whole. */
function maskedUrl(text: string): string {
  const [, scheme, authority = "", rest = ""] = /^([a-z]+:\/\/)([^/?#]*)(.*)$/is.exec(text) ?? [];
  if (scheme === undefined) return mask;
  const at = authority.lastIndexOf("@");
  const [user = "", ...password] = authority.slice(0, Math.max(at, 0)).split(":");
  const who = password.length > 0 ? `${user}:${mask}` : user;
  const hosts = at < 0 ? authority : `${who}${authority.slice(at)}`;
  return scheme + hosts + rest.replace(/([?&][^=&]*pass[^=&]*=)[^&#]*/gi, `$1${mask}`);
}
