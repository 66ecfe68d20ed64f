import { PluginError } from "../contract/errors.ts";
import { matchesPattern } from "./host-pattern.ts";

/** What a list of algorithms can be made of. */
export interface AlgorithmChoice {
  /** What is offered where nothing is said, best first. */
  readonly defaults: readonly string[];
  /** Everything that there is, the defaults among it. Patterns stand for names of it, in its order. */
  readonly supported: readonly string[];
}

/** A list of algorithms with nothing left to expand. */
export interface AlgorithmList {
  /** What to offer, best first, at least one. */
  readonly names: string[];
  /** What the list asks for and is not supported. */
  readonly unknown: string[];
}

/**
 * Reads a list of algorithms as `ssh_config` has it: `a,b` instead of the default, `+a,b` after it, `^a,b` before it, and
 * `-a,b*` the default without these.
 *
 * Same as OpenSSH's `kex_assemble_names`, but names that nobody knows are told apart instead of being refused: a
 * configuration may be written for a client that has more.
 *
 * @param option the name of the option, for messages
 * @throws {PluginError} `config-error` if nothing is left to offer
 */
export function algorithmList(option: string, text: string, choice: AlgorithmChoice): AlgorithmList {
  const [, sign = "", rest = ""] = /^([-+^]?)(.*)$/s.exec(text) ?? [];
  const items = rest.split(",").filter((item) => item !== "");
  const list = sign === "-" ? without(items, choice.defaults) : assembled(sign, items, choice);
  if (list.names.length > 0) return list;
  throw new PluginError("config-error", `\`${option}\` is ${JSON.stringify(text)}, which leaves nothing to offer.`, {
    hint: `What ssh2 can do is: ${choice.supported.join(", ")}.`,
  });
}

/** The default without what `patterns` mean: at least one fits, and none with a `!` in front does. */
function without(patterns: readonly string[], defaults: readonly string[]): AlgorithmList {
  const isMeant = (name: string) =>
    patterns.some((pattern) => matchesPattern(name, pattern)) &&
    !patterns.some((pattern) => pattern.startsWith("!") && matchesPattern(name, pattern.slice(1)));
  return { names: defaults.filter((name) => !isMeant(name)), unknown: [] };
}

function assembled(sign: string, items: readonly string[], { defaults, supported }: AlgorithmChoice): AlgorithmList {
  const meaning = (item: string) => supported.filter((name) => matchesPattern(name, item));
  const named = items.flatMap(meaning);
  const [first, last] = sign === "" ? [named, []] : sign === "+" ? [defaults, named] : [named, defaults];
  return {
    names: [...new Set([...first, ...last])],
    unknown: items.filter((item) => meaning(item).length === 0),
  };
}
