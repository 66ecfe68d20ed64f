import { readFileSync } from "node:fs";

/** The closed list of error codes, which exists as a type only. */
export const ERROR_CODES: readonly string[] = [
  ...(/export type PluginErrorCode =([^;]*);/.exec(source("contract/errors"))?.[1] ?? "").matchAll(/"([a-z-]+)"/g),
].map(([, code = ""]) => code);

/** The defaults that the comments of these files tell: the option's name and the text after `@default`. */
export function defaultsOf(...files: readonly string[]): Map<string, string> {
  const found = files
    .map(source)
    .flatMap((text) => [...text.matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*(\w+)\?:/g)])
    .map(([, comment = "", name = ""]) => [name, /@default (.*)/.exec(comment)?.[1]?.trim() ?? ""] as const);
  return new Map(found);
}

function source(path: string): string {
  return readFileSync(new URL(`../../src/${path}.ts`, import.meta.url), "utf8");
}
