import type { DefineCommand } from "../command.ts";

export const defineOpenApi: DefineCommand = (program, add, context) => {
  add(program, "openapi", "Print the API described for programs (OpenAPI 3.1).", [
    "openapi > openapi.json",
  ]).action(async () => (await import("../actions/openapi.ts")).openApi(context));
};
