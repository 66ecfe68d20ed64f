import { PluginError } from "../contract/errors.ts";
import { checkText } from "./quote.ts";

/** go-plugin's own variables: what a host, itself a plugin perhaps, inherited of them must not reach another plugin. */
const GO_PLUGIN_VARIABLES = [
  "PLUGIN_MIN_PORT",
  "PLUGIN_MAX_PORT",
  "PLUGIN_PROTOCOL_VERSIONS",
  "PLUGIN_MULTIPLEX_GRPC",
  "PLUGIN_CLIENT_CERT",
  "PLUGIN_UNIX_SOCKET_GROUP",
  "PLUGIN_UNIX_SOCKET_DIR",
];

/** Set by the supervisor to its private directory, because a path of the host's means nothing on the box. */
const BOX_PATHS = ["PLUGIN_UNIX_SOCKET_DIR", "TMPDIR"];

/** A shell keeps these for itself: read-only, computed, or different after each `cd`. */
const SHELL_VARIABLES = new Set(
  (
    "_ PWD OLDPWD SHLVL UID EUID PPID GROUPS BASHOPTS SHELLOPTS BASHPID BASH_VERSINFO BASH_ARGC BASH_ARGV BASH_LINENO " +
    "BASH_SOURCE BASH_ALIASES BASH_CMDS BASH_COMMAND BASH_SUBSHELL BASH_MONOSECONDS BASH_TRAPSIG PIPESTATUS DIRSTACK " +
    "FUNCNAME HISTCMD LINENO RANDOM SRANDOM SECONDS EPOCHSECONDS EPOCHREALTIME OPTIND OPTARG OPTERR IFS PS1 PS2 PS4 " +
    "COMP_WORDBREAKS POSIXLY_CORRECT"
  ).split(" "),
);

/** The only names that a POSIX shell can export. */
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** What the plugin's environment is made of. */
export interface EnvironmentSources {
  /** Sent as it is, apart from paths that must be the box's own. */
  environment: Readonly<Record<string, string>>;
  /** Patterns with `*` and `?` for names of `hostEnvironment` that are sent too. */
  forwardEnvironment: readonly string[];
  /** The host's environment, `process.env`. Nothing of it travels by itself. */
  hostEnvironment: Readonly<Record<string, string | undefined>>;
}

/**
 * What is exported to the plugin: what the caller named, over what a pattern chose of the host's. The two paths are
 * left to the supervisor. What the host has inherited from a go-plugin host above it never travels by a pattern, nor
 * do the shell's own variables.
 *
 * @throws {PluginError} `bad-options` for a name or a value that a shell cannot export; the value is never quoted
 */
export function buildEnvironment(sources: EnvironmentSources): Record<string, string> {
  const chosen = new Map<string, string>();
  for (const [name, value] of Object.entries(sources.hostEnvironment)) {
    const own = SHELL_VARIABLES.has(name) || name.startsWith("PLUGIN_") || name.startsWith("gps_");
    if (value === undefined || own || !NAME.test(name)) continue;
    if (sources.forwardEnvironment.some((pattern) => matches(pattern, name))) chosen.set(name, value);
  }
  for (const [name, value] of Object.entries(sources.environment)) {
    checkVariable(name, value);
    chosen.set(name, value);
  }
  for (const name of BOX_PATHS) chosen.delete(name);
  return Object.fromEntries(chosen);
}

/** The names that the plugin must not inherit from the box's session. */
export function variablesToScrub(environment: Readonly<Record<string, string>>): string[] {
  return GO_PLUGIN_VARIABLES.filter((name) => !Object.hasOwn(environment, name) && !BOX_PATHS.includes(name));
}

/** Refuses patterns that are no names with wildcards. */
export function checkPatterns(forwardEnvironment: readonly string[]): void {
  for (const pattern of forwardEnvironment) {
    if (!/^[A-Za-z0-9_*?]+$/.test(pattern)) {
      throw new PluginError(
        "bad-options",
        `\`forwardEnvironment\` takes names and patterns such as "AWS_*", not ${JSON.stringify(pattern)}.`,
        { hint: "To send a value, put it in `environment`." },
      );
    }
  }
}

function checkVariable(name: string, value: string): void {
  if (!NAME.test(name)) {
    throw new PluginError(
      "bad-options",
      `\`environment\` holds the name ${JSON.stringify(name)}, which a shell cannot export.`,
      {
        hint: "Names consist of letters, digits and underscores and do not begin with a digit.",
      },
    );
  }
  if (SHELL_VARIABLES.has(name) || name.startsWith("gps_")) {
    throw new PluginError(
      "bad-options",
      `\`environment\` holds ${name}, which belongs to the shell that starts the plugin.`,
    );
  }
  if (typeof value !== "string") {
    throw new PluginError("bad-options", `\`environment.${name}\` must be a string, not ${typeof value}.`);
  }
  checkText(value, `\`environment.${name}\``);
}

function matches(pattern: string, name: string): boolean {
  return new RegExp(`^${pattern.replaceAll("*", ".*").replaceAll("?", ".")}$`).test(name);
}
