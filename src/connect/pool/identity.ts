import type { ConnectOptions } from "../connect-options.ts";
import { describeTarget } from "../destination.ts";
import type { Settings } from "../settings.ts";

/** How patient we are and how much we ask says nothing about who is connected to whom. */
const PATIENCE = new Set<string>([
  "batchMode",
  "connectTimeoutMs",
  "connectionAttempts",
  "numberOfPasswordPrompts",
  "serverAliveIntervalMs",
  "serverAliveCountMax",
] satisfies (keyof ConnectOptions)[]);

/**
 * Who is connected to whom, by which way and under which rules, as one text: connections of which this is the same
 * can stand in for each other. It is made of what was resolved, so two names of one box share, and one name that leads
 * to two boxes does not. Where the system's `ssh` connects, it reads the name again, so there the name is part of it.
 *
 * @param hops the jump hosts on the way, each as it was resolved
 */
export function identityOf(settings: Settings, hops: readonly Settings[] = []): string {
  return sorted([settings, ...hops].map(rulesOf));
}

function rulesOf({ alias, target, options, needsOpenSsh, ...more }: Settings): unknown {
  const byName = needsOpenSsh.length > 0 || options.backend === "openssh" || takesName(options.proxyCommand);
  const rules = Object.entries(options).filter(([name]) => !PATIENCE.has(name));
  return [describeTarget(target), byName ? alias : "", Object.fromEntries(rules), needsOpenSsh, more];
}

/** `%n` in a command is the name as it was given. */
function takesName(command: string | undefined): boolean {
  return command?.replaceAll("%%", "").includes("%n") ?? false;
}

/** JSON in which the order of names does not matter. Callbacks are left out: a pool has one of each. */
function sorted(value: unknown): string {
  return JSON.stringify(value, (_name, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([one], [other]) => (one < other ? -1 : 1)))
      : part,
  );
}

/**
 * Whose limit for logins counts (`MaxStartups`): the server that our TCP connections reach, which is the first hop where
 * there are some.
 */
export function doorOf({ target, options }: Settings): string {
  const { proxyJump = "none", proxyCommand = "none" } = options;
  if (proxyJump !== "none") return `hop ${proxyJump.split(",")[0]}`;
  const way = proxyCommand === "none" ? "" : ` by ${proxyCommand}`;
  return `${target.host}:${target.port}${way}`;
}
