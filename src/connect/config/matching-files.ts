import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/** The files that a path with `*`, `?` and `[…]` in it names, in the order of their names. Never rejects. */
export async function matchingFiles(pattern: string): Promise<string[]> {
  let found = [pattern.startsWith("/") ? "/" : "."];
  for (const part of pattern.split("/").filter((name) => name !== "")) {
    const next = await Promise.all(found.map((directory) => below(directory, part)));
    found = next.flat();
  }
  return found;
}

async function below(directory: string, part: string): Promise<string[]> {
  if (!/[*?[]/.test(part)) {
    const path = join(directory, unescaped(part));
    return stat(path).then(
      () => [path],
      () => [],
    );
  }
  const names = await readdir(directory).catch(() => []);
  const wanted = new RegExp(`^${expression(part)}$`, "su");
  return names
    .filter((name) => wanted.test(name) && (!name.startsWith(".") || part.startsWith(".")))
    .sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)))
    .map((name) => join(directory, name));
}

/** The regular expression of a name's pattern. A bracket that is not closed stands for itself. */
function expression(part: string): string {
  return part.replace(/\\(.)|\[([!^]?)(\]?[^\]]*)\]|[\s\S]/gu, (all, escaped?: string, not?: string, set?: string) => {
    if (escaped !== undefined) return literal(escaped);
    if (set !== undefined) return `[${not ? "^" : ""}${set.replace(/[\\[\]^]/g, "\\$&")}]`;
    if (all === "*") return ".*";
    return all === "?" ? "." : literal(all);
  });
}

function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
}

function unescaped(part: string): string {
  return part.replace(/\\(.)/g, "$1");
}
