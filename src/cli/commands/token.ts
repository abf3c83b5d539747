import { Option } from "commander";
import { rights } from "../../access/caller.ts";
import * as is from "../arguments.ts";
import type { DefineCommand } from "../command.ts";

export interface CreateTokenFlags {
  readonly name: string;
  readonly scope: "read" | "write" | "admin";
  readonly user?: readonly number[];
  /** Seconds. */
  readonly expires?: number;
  /** Requests a second. */
  readonly rate?: number;
}

export const defineToken: DefineCommand = (program, add, context) => {
  const token = add(program, "token", "Make, list and revoke the tokens that the API asks for.", [
    "token create --name shop --scope write",
    "token list",
    "token revoke shop",
  ]);
  const actions = () => import("../actions/token.ts");
  add(
    token,
    "create",
    "Make a token and show it, once. With the first one the door is closed for good.",
    [
      "token create --name shop --scope write",
      "token create --name support --scope read --expires 90d",
      "token create --name kiosk --scope write --user 7 --rate 100/s",
    ],
  )
    .requiredOption(
      "--name <name>",
      "whose it is; one name may have several, and shares its keys",
      is.clientName,
    )
    .addOption(
      new Option("--scope <scope>", "what it may do; admin sees the keys of all")
        .choices(rights)
        .makeOptionMandatory(),
    )
    .option("--user <id>", "for this user alone; again for more", is.userIds)
    .option("--expires <time>", "until when it is good: 12h, 90d", is.tokenLifetime)
    .option("--rate <rate>", "at most so many requests a second: 100/s", is.tokenRate)
    .action(async (flags) => (await actions()).createToken(context, flags));
  add(token, "list", "List tokens, the newest first.", ["token list"]).action(async () =>
    (await actions()).listTokens(context),
  );
  add(token, "revoke", "Revoke a token by its id, or all of a name.", [
    "token revoke k3X8w2Ab",
    "token revoke shop",
  ])
    .argument("<id-or-name>", "as `token list` shows it")
    .action(async (which) => (await actions()).revokeToken(context, which));
};
