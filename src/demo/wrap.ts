/**
 * Breaks a line between words, so that each part has at most `columns` characters if its words allow. What stands in
 * backticks counts as one word, to be copied in one piece.
 */
export function wrap(line: string, columns: number): string[] {
  const lines: string[] = [];
  let current = "";
  for (const word of line.match(/(?:`[^`]*`|[^\s`]|`)+/g) ?? []) {
    const longer = current === "" ? word : `${current} ${word}`;
    if (current !== "" && longer.length > columns) {
      lines.push(current);
      current = word;
    } else {
      current = longer;
    }
  }
  return [...lines, current];
}
