/**
 * Text of others, shown: what a terminal obeys (controls, C1 too: U+009B alone begins a sequence), what turns round
 * the text beside it, and what cannot be seen is written as in JSON. So it goes for JSON too, and means the same there.
 */

/** All of Unicode's "other" but for the two joiners, which shape letters; and its separators of lines. */
const unprintable = /[^\P{C}\u200c\u200d]|[\p{Zl}\p{Zp}]/gu;

export function printable(text: string): string {
  return text.replace(unprintable, escaped);
}

/** The same of a text of ours that has lines and colours. */
export function printableLines(text: string): string {
  return text.replace(linesAndColours, (found, ours?: string) => ours ?? escaped(found));
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: colour codes begin with one
const linesAndColours = /(\x1b\[[0-9;]*m|\n)|[^\P{C}\u200c\u200d]|[\p{Zl}\p{Zp}]/gu;

function escaped(character: string): string {
  let text = "";
  for (let at = 0; at < character.length; at += 1) {
    text += `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`;
  }
  return text;
}
