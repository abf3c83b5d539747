import { readFile, writeFile } from "node:fs/promises";

const begin = "<!-- bench:begin -->";
const end = "<!-- bench:end -->";

/** Puts the text between the markers of a document. @throws Error when the file does not have both, in order */
export async function writeSection(path: string, text: string): Promise<void> {
  const document = await readFile(path, "utf8");
  const from = document.indexOf(begin);
  const to = document.indexOf(end);
  if (from < 0 || to < from) {
    throw new Error(`${path} has no ${begin} and ${end} to write the results between`);
  }
  const head = document.slice(0, from + begin.length);
  await writeFile(path, `${head}\n${text}\n${document.slice(to)}`);
}
