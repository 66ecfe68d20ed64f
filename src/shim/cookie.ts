import { PluginError } from "../contract/errors.ts";
import { HOST_PROGRAMS } from "./host-programs.ts";

/** A variable that tells a plugin that a host has started it. */
export interface Cookie {
  readonly name: string;
  readonly value: string;
}

/** What a Go host puts behind the cookie, one right after the other. */
const FOLLOWERS = ["PLUGIN_MIN_PORT", "PLUGIN_MAX_PORT", "PLUGIN_PROTOCOL_VERSIONS"];

/** Whether a go-plugin host has started this process at all. */
export function isStartedByHost(environment: Environment): boolean {
  return FOLLOWERS.some((name) => environment[name] !== undefined);
}

/** Variables in the order of the process's environment block, as `process.env` keeps it. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Finds the magic cookie, whose name is the host's own choice: in the block that a Go host makes it stands right before
 * `PLUGIN_MIN_PORT`. A shell in between may have changed the order; then the cookies of known hosts are looked for.
 *
 * @param name what the variable is called, where the user knows
 * @throws {PluginError} `bad-options` if it cannot be told which variable it is, with what to do about that
 */
export function findCookie(environment: Environment, name?: string): Cookie {
  if (name !== undefined) {
    const value = environment[name];
    if (value) return { name, value };
    throw notFound(`There is no variable ${JSON.stringify(name)} in the environment, or it is empty.`);
  }
  const names = Object.keys(environment);
  const at = names.lastIndexOf("PLUGIN_MIN_PORT");
  const before = names[at - 1];
  const inOrder = FOLLOWERS.every((follower, offset) => names[at + offset] === follower);
  if (at > 0 && inOrder && before !== undefined && environment[before]) {
    return { name: before, value: environment[before] };
  }
  const known = HOST_PROGRAMS.flatMap(({ cookies }) => cookies).filter((cookie) => environment[cookie]);
  const [only, another] = known;
  if (only !== undefined && another === undefined) return { name: only, value: environment[only] ?? "" };
  throw notFound(
    another === undefined
      ? "The variables do not stand in the order in which the host wrote them, and none is a known host's cookie."
      : `The variables do not stand in the order in which the host wrote them, and ${known.join(" and ")} are both set.`,
  );
}

function notFound(what: string): PluginError {
  return new PluginError("bad-options", `The plugin's magic cookie was not found. ${what}`, {
    hint:
      "Name it with `--cookie NAME`: the host's source calls it MagicCookieKey. If a shell script starts the shim, " +
      "let the host start an installed shim (`go-plugin-ssh shim --install`) in its place.",
  });
}
