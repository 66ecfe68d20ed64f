/** Values by keyword, which is in lower case. A keyword may have several; what was not set has none. */
export type ConfigValues = ReadonlyMap<string, readonly string[]>;

/** Reads what `ssh -G` prints: a keyword and a value per line, a line more for each further value. */
export function parseAnswer(text: string): ConfigValues {
  const values = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [, keyword = "", value = ""] = /^(\S+) ?(.*)$/.exec(line) ?? [];
    if (keyword === "") continue;
    const before = values.get(keyword.toLowerCase());
    if (before) before.push(value);
    else values.set(keyword.toLowerCase(), [value]);
  }
  return values;
}

/** What a configuration says, and what would be so without one. */
export class Configuration {
  readonly values: ConfigValues;
  readonly defaults: ConfigValues;

  constructor(values: ConfigValues, defaults: ConfigValues) {
    this.values = values;
    this.defaults = defaults;
  }

  /** The values of a keyword, if they are other than its default. */
  all(keyword: string): readonly string[] | undefined {
    const [values, defaults = []] = [this.values.get(keyword.toLowerCase()), this.defaults.get(keyword.toLowerCase())];
    if (!values) return undefined;
    const same = values.length === defaults.length && values.every((value, index) => value === defaults[index]);
    return same ? undefined : values;
  }

  /** The first value of a keyword, if it is other than its default. */
  one(keyword: string): string | undefined {
    return this.all(keyword)?.[0];
  }

  /** Every keyword that is set to something else than its default, in the order in which they were told. */
  changed(): string[] {
    return [...this.values.keys()].filter((keyword) => this.all(keyword) !== undefined);
  }
}
