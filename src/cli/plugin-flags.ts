import { type Command, InvalidArgumentError, Option } from "commander";
import { FORWARD_SETS } from "../shim/forward-sets.ts";
import { SETTINGS_VERSION, type ShimSettings } from "../shim/settings.ts";
import { addConnectionFlags, type ConnectionFlags, collect, connectionFrom } from "./connection-flags.ts";

/** What commander makes of the flags that {@link addPluginFlags} adds. */
export interface PluginFlags extends ConnectionFlags {
  directory?: string;
  forwardEnv?: string[];
  forwardEnvSet?: string[];
  tcp?: true;
  relay?: "auto" | "never" | "always";
  startTimeout?: number;
}

/**
 * Gives `command` the flags that say where a plugin runs and what it gets.
 *
 * @param isPrivate whether nobody else may reach the plugin, so that `--tcp` is not offered; the command refuses it
 */
export function addPluginFlags(command: Command, startTimeoutSeconds: number, isPrivate = false): Command {
  return addConnectionFlags(command)
    .option("--directory <path>", "where the plugin runs on the box (default: the login directory)")
    .option("--forward-env <pattern>", "send variables of this environment: a name, or AWS_*; may be repeated", collect)
    .option(
      "--forward-env-set <name>",
      `send variables that belong together (${Object.keys(FORWARD_SETS).join(", ")}); may be repeated`,
      collectSet,
    )
    .addOption(new Option("--tcp", "listen on a port of 127.0.0.1 here, in place of a unix socket").hideHelp(isPrivate))
    .option(
      "--relay <mode>",
      'programs on the box in place of refused forwards: "auto", "never" or "always" (default: "auto")',
      relayMode,
    )
    .option(
      "--start-timeout <seconds>",
      `from the start to the handshake line (default: ${startTimeoutSeconds})`,
      seconds,
    );
}

/** What the flags ask for, as the shim takes it. @throws {PluginError} `bad-options` in the words of the command line */
export function settingsFrom(destination: string, command: readonly string[], flags: PluginFlags): ShimSettings {
  const { destination: target, options } = connectionFrom(destination, flags);
  const { directory, forwardEnv = [], forwardEnvSet = [], tcp, relay, startTimeout } = flags;
  const patterns = [...forwardEnv, ...forwardEnvSet.flatMap((name) => FORWARD_SETS[name]?.patterns ?? [])];
  return {
    version: SETTINGS_VERSION,
    destination: target,
    ...(Object.keys(options).length > 0 && { connect: options }),
    command,
    ...(directory !== undefined && { directory }),
    ...(patterns.length > 0 && { forwardEnv: patterns }),
    ...(tcp && { hostNetwork: "tcp" as const }),
    ...(relay && { relay }),
    ...(startTimeout !== undefined && { startTimeoutMs: startTimeout * 1000 }),
  };
}

/** For options that take one of a few words. */
export function oneOf<T extends string>(...words: readonly T[]): (value: string) => T {
  return (value) => {
    const known = words.find((word) => word === value);
    if (known) return known;
    throw new InvalidArgumentError(`It is ${words.slice(0, -1).join(", ")} or ${words.at(-1)}.`);
  };
}

/** What each set of `--forward-env-set` holds, for the help text. */
export const FORWARD_SETS_HELP = [
  "Sets for --forward-env-set:",
  ...Object.entries(FORWARD_SETS).map(([name, { what, patterns }]) => `  ${name}: ${what}\n    ${patterns.join(" ")}`),
].join("\n");

const relayMode = oneOf("auto", "never", "always");
const setName = oneOf(...Object.keys(FORWARD_SETS));

function collectSet(value: string, before: string[] = []): string[] {
  return collect(setName(value), before);
}

function seconds(value: string): number {
  const number = Number(value);
  if (value.trim() !== "" && number > 0 && number <= 86_400) return number;
  throw new InvalidArgumentError("It is a number of seconds, more than 0.");
}
