import { openApiDocument } from "../../http/openapi/document.ts";
import { routes } from "../../http/routes/all.ts";
import { packageVersion } from "../../package-root.ts";
import type { Context } from "../context.ts";

export async function openApi({ output }: Context): Promise<void> {
  const document = openApiDocument(routes, packageVersion());
  output.result(document, () => JSON.stringify(document, null, 2));
}
