import { PluginError } from "../contract/errors.ts";
import { checkSecureConfig, type SecureConfig } from "../contract/secure-config.ts";
import { buildEnvironment, checkPatterns } from "../exec/environment.ts";
import { checkText } from "../exec/quote.ts";

/** How go-plugin tells a plugin which group its sockets are for. */
const SOCKET_GROUP = "PLUGIN_UNIX_SOCKET_GROUP";
/** The largest number but one of 32 bits; the last one means "no change" to `chown`. */
const MAX_GID = 2 ** 32 - 2;
const START_TIMEOUT_MS = 60_000;
const HEARTBEAT_INTERVAL_MS = 15_000;
const LEASE_MS = 60_000;
const KILL_GRACE_MS = 5_000;

/** What to run, and how it is looked after: the same for a plugin on a box and for one on this machine. */
export interface PluginOptions {
  /**
   * The program on the box and its arguments. A program without a slash is looked up in the box's PATH. go-plugin adds
   * no arguments of its own.
   */
  command: readonly [program: string, ...args: string[]];
  /** Where it runs: a path on the box, relative to the login directory. @default the login directory */
  directory?: string;
  /**
   * Variables for the plugin. They travel over the connection's stdin, so they show in no argv and no log.
   * `TMPDIR` and `PLUGIN_UNIX_SOCKET_DIR` are always the private directory on the box.
   */
  environment?: Readonly<Record<string, string>>;
  /** Names of this process's own variables that are sent too, with `*` and `?`: `["AWS_*", "TF_LOG"]`. @default [] */
  forwardEnvironment?: readonly string[];
  /** Where the private directory on the box is made first. It must be short: sockets are made below it. */
  directoryBase?: string;
  /**
   * A group on the box, by its name or number there, whose members may connect to the plugin's sockets and write into
   * its private directory. Whoever logs in must be a member. Same as go-plugin's `UnixSocketConfig.Group`.
   * @default what `environment` holds as `PLUGIN_UNIX_SOCKET_GROUP`, else none
   */
  unixSocketGroup?: string;
  /**
   * What the program's file on the box must be. It is hashed there right before the start, by `sha256sum`, `shasum` or
   * `openssl`. Same as go-plugin's `SecureConfig`.
   * @default any file will do
   */
  secureConfig?: SecureConfig;
  /** From the connected box to the plugin that runs. @default 60_000 */
  startTimeoutMs?: number;
  /** How often the box hears that the host lives. 0: never. @default 15_000 */
  heartbeatIntervalMs?: number;
  /** How long the plugin lives without hearing from the host, in whole seconds. 0: as long as the connection. @default 60_000 */
  leaseMs?: number;
  /** From TERM to KILL, in whole seconds. @default 5_000 */
  killGraceMs?: number;
}

/** {@link PluginOptions} with nothing left open, and the environment put together. */
export interface ResolvedPluginOptions {
  command: readonly string[];
  directory: string | undefined;
  environment: Record<string, string>;
  directoryBase: string | undefined;
  unixSocketGroup: string | undefined;
  secureConfig: SecureConfig | undefined;
  startTimeoutMs: number;
  heartbeatIntervalMs: number;
  leaseMs: number;
  killGraceMs: number;
}

/**
 * Checks options and fills in the defaults.
 *
 * @throws {PluginError} `bad-options`, before anything is opened
 */
export function resolvePluginOptions(options: PluginOptions): ResolvedPluginOptions {
  checkCommand(options.command);
  for (const name of ["directory", "directoryBase"] as const) checkPath(name, options[name]);
  const forwardEnvironment = options.forwardEnvironment ?? [];
  checkPatterns(forwardEnvironment);
  const unixSocketGroup = socketGroup(options);
  const resolved = {
    command: options.command,
    directory: options.directory,
    directoryBase: options.directoryBase,
    unixSocketGroup,
    secureConfig: options.secureConfig === undefined ? undefined : checkSecureConfig(options.secureConfig),
    environment: buildEnvironment({
      environment: { ...options.environment, ...(unixSocketGroup && { [SOCKET_GROUP]: unixSocketGroup }) },
      forwardEnvironment,
      hostEnvironment: process.env,
    }),
    startTimeoutMs: milliseconds(options, "startTimeoutMs", START_TIMEOUT_MS),
    heartbeatIntervalMs: milliseconds(options, "heartbeatIntervalMs", HEARTBEAT_INTERVAL_MS),
    leaseMs: milliseconds(options, "leaseMs", LEASE_MS),
    killGraceMs: milliseconds(options, "killGraceMs", KILL_GRACE_MS),
  };
  checkLease(resolved);
  return resolved;
}

/** The names of {@link PluginOptions}, to refuse what nobody knows. */
export const PLUGIN_OPTION_NAMES: readonly string[] = [
  "command",
  "directory",
  "environment",
  "forwardEnvironment",
  "directoryBase",
  "unixSocketGroup",
  "secureConfig",
  "startTimeoutMs",
  "heartbeatIntervalMs",
  "leaseMs",
  "killGraceMs",
] satisfies (keyof PluginOptions)[];

/** Refuses an option that nobody knows, with the known ones in the hint. */
export function checkNames(options: object, isKnown: (name: string) => boolean): void {
  for (const name of Object.keys(options)) {
    if (!isKnown(name)) {
      throw new PluginError("bad-options", `There is no option ${JSON.stringify(name)}.`, {
        hint: "Check its spelling against the documentation of the options' type.",
      });
    }
  }
}

function checkCommand(command: unknown): asserts command is readonly string[] {
  if (!Array.isArray(command) || command.length === 0 || command.some((word) => typeof word !== "string")) {
    throw new PluginError("bad-options", "`command` must be an array of strings: the program and its arguments.", {
      hint: 'For example ["/usr/local/bin/my-plugin"]. It is not parsed by a shell.',
    });
  }
  for (const word of command) checkText(word, "A word of `command`");
  if (command[0] === "" || command[0].startsWith("-")) {
    throw new PluginError("bad-options", `\`command\` begins with ${JSON.stringify(command[0])}, which is no program.`);
  }
}

function checkPath(name: string, path: unknown): void {
  if (path === undefined) return;
  if (typeof path !== "string" || path === "") {
    throw new PluginError("bad-options", `\`${name}\` must be a path on the box, not ${JSON.stringify(path)}.`);
  }
  checkText(path, `\`${name}\``);
  if (path.includes("\n")) throw new PluginError("bad-options", `\`${name}\` must not contain a newline.`);
}

/** The group that the sockets are for, whether it was given as an option or, by a `Client`, in the environment. */
function socketGroup({ unixSocketGroup, environment }: PluginOptions): string | undefined {
  const variable = environment?.[SOCKET_GROUP] || undefined;
  const group: unknown = unixSocketGroup ?? variable;
  if (group === undefined) return undefined;
  if (variable !== undefined && variable !== group) {
    throw new PluginError("bad-options", `\`unixSocketGroup\` and \`environment.${SOCKET_GROUP}\` name two groups.`);
  }
  // Some `chgrp` make another number of one that is too large.
  const isTooLarge = /^\d+$/.test(String(group)) && Number(group) > MAX_GID;
  if (typeof group !== "string" || isTooLarge || !/^[^-+\p{Cc}:][^\p{Cc}:]*$/u.test(group)) {
    throw new PluginError(
      "bad-options",
      `\`unixSocketGroup\` must be the name or number of a group on the box, not ${JSON.stringify(group)}.`,
    );
  }
  checkText(group, "`unixSocketGroup`");
  return group;
}

function milliseconds(options: PluginOptions, name: keyof PluginOptions & `${string}Ms`, fallback: number): number {
  const value: unknown = options[name] ?? fallback;
  if (typeof value !== "number" || !(value >= 0) || !Number.isFinite(value)) {
    throw new PluginError("bad-options", `\`${name}\` must be a number of milliseconds, not ${JSON.stringify(value)}.`);
  }
  return value;
}

function checkLease({ leaseMs, heartbeatIntervalMs }: ResolvedPluginOptions): void {
  if (leaseMs === 0 || (heartbeatIntervalMs > 0 && heartbeatIntervalMs < leaseMs)) return;
  throw new PluginError(
    "bad-options",
    `A lease of ${leaseMs} ms would end between heartbeats of ${heartbeatIntervalMs} ms.`,
    {
      hint: "Make `heartbeatIntervalMs` a third of `leaseMs` or less, or turn the lease off with `leaseMs: 0`.",
    },
  );
}
