import { readFile, writeFile } from "node:fs/promises";

const begin = "<!-- bench:begin -->";
const end = "<!-- bench:end -->";

/** Puts the text between the markers. @throws Error when the file does not have both, in order */
export async function writeSection(path: string, text: string): Promise<void> {
  const readme = await readFile(path, "utf8");
  const from = readme.indexOf(begin);
  const to = readme.indexOf(end);
  if (from < 0 || to < from) {
    throw new Error(`${path} has no ${begin} and ${end} to write the results between`);
  }
  const head = readme.slice(0, from + begin.length);
  await writeFile(path, `${head}\n${text}\n${readme.slice(to)}`);
}
