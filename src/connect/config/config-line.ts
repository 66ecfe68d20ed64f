/** A line of ssh_config that says something. */
export interface ConfigLine {
  /** In lower case. */
  keyword: string;
  /** As it is written. */
  written: string;
  /** Everything behind the keyword, as it is written. */
  rest: string;
  /** The words of `rest` without quotes and comment; `undefined` where a quote is not closed. */
  words: string[] | undefined;
}

/** Takes a line of ssh_config apart as OpenSSH does; `undefined` for an empty line and a comment. */
export function parseConfigLine(line: string): ConfigLine | undefined {
  const text = line.replace(/^[ \t\r\f]+|[ \t\r\n\f]+$/g, "");
  if (text === "" || text.startsWith("#")) return undefined;
  const [, written = "", rest = ""] = /^"?([^\s="]*)"?[ \t\r]*=?[ \t\r]*(.*)$/s.exec(text) ?? [];
  return { keyword: written.toLowerCase(), written, rest, words: splitWords(rest) };
}

/** What a backslash takes the meaning of; a blank only outside of quotes. */
const ESCAPED = ["'", '"', "\\"];

/** Words between blanks. Quotes of both kinds hold blanks together; a `#` at the beginning of a word ends the line. */
function splitWords(text: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at] as string;
    const next = text[at + 1] ?? "";
    if (quote === "" && (character === " " || character === "\t")) {
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    }
    if (word === undefined && character === "#") return words;
    word ??= "";
    if (character === "\\" && (ESCAPED.includes(next) || (quote === "" && next === " "))) {
      word += next;
      at += 1;
    } else if (quote === "" && (character === '"' || character === "'")) quote = character;
    else if (character === quote) quote = "";
    else word += character;
  }
  if (quote !== "") return undefined;
  return word === undefined ? words : [...words, word];
}
