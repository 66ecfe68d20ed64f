import { isIPv6 } from "node:net";
import { userInfo } from "node:os";
import { PluginError } from "../../contract/errors.ts";
import { within } from "../../lifetime/deadline.ts";
import type { ConnectOptions } from "../connect-options.ts";
import { type Destination, type DestinationParts, ownName, readDestination, type Target } from "../destination.ts";
import { lowerCase } from "../host-pattern.ts";
import { expandHome } from "../identity-files.ts";
import type { Settings } from "../settings.ts";
import { Configuration, type ConfigValues } from "./config-values.ts";
import { configuredOptions } from "./configured-options.ts";
import { configurationNotices, say } from "./notices.ts";
import { openSshNeeds } from "./openssh-needs.ts";
import { hasOpenSsh, querySsh } from "./query-ssh.ts";
import { readConfiguration } from "./read-configuration.ts";
import { refuseJumpToItself } from "./read-jump.ts";

/**
 * Decides everything about a connection: explicit options go before the URL, the URL before the OpenSSH configuration,
 * and that before defaults. What is configured and cannot be done is said by `onNotice`.
 *
 * @throws {PluginError} `bad-options` or `config-error`, naming what cannot be used; `timeout` or `aborted`
 */
export async function resolveSettings(
  destination: Destination,
  options: ConnectOptions,
  signal?: AbortSignal,
): Promise<Settings> {
  const { settings, notices } = await resolve(destination, options, signal);
  for (const notice of notices) say(options, notice);
  return settings;
}

/** Settings, and where they come from. */
export interface Resolution {
  readonly settings: Settings;
  /** What the destination says by itself. */
  readonly parts: DestinationParts;
  /** What the caller's options say. */
  readonly given: ConnectOptions;
  readonly configuration: Configuration;
  /** What is configured and will not be done, a sentence each. */
  readonly notices: readonly string[];
}

/** As {@link resolveSettings}, but nothing is said. */
export async function resolve(
  destination: Destination,
  options: ConnectOptions,
  signal?: AbortSignal,
): Promise<Resolution> {
  const parts = readDestination(destination);
  const given: ConnectOptions = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const configuration = await configurationFor(parts, given, signal);
  refuseAsConfigured(parts.host, configuration);
  const target = targetOf(parts, configuration);
  const configured = configuredOptions(configuration, { alias: parts.host, target, given });
  const merged = { ...configured, ...given };
  refuseJumpToItself(merged.proxyJump, target);
  const needs = await openSshNeeds(configuration, target, merged, signal);
  // Where there is no `ssh`, what ssh2 can do may be enough.
  const isInVain = needs.length > 0 && given.backend !== "openssh" && !(await hasOpenSsh());
  const settings: Settings = {
    alias: parts.host,
    target,
    options: merged,
    needsOpenSsh: isInVain ? [] : needs,
    ...(configured.identityFile && { hasConfiguredKeys: true }),
  };
  const without = isInVain
    ? [`No OpenSSH is on the PATH, so ${parts.host} is connected to without ${needs.join(", ")}.`]
    : [];
  const notices = [...without, ...configurationNotices(configuration, settings, given)];
  return { settings, parts, given, configuration, notices };
}

/** What the configuration says about a destination: by the word of the installed `ssh`, else by our own reader. */
async function configurationFor(
  parts: DestinationParts,
  options: ConnectOptions,
  signal: AbortSignal | undefined,
): Promise<Configuration> {
  const { configFile, sshOptions = [] } = options;
  if (configFile === "none" && sshOptions.length === 0) return new Configuration(new Map(), new Map());
  if (hasAccount()) {
    const file = configFile === undefined ? [] : ["-F", expandHome(configFile)];
    const args = [...file, ...settingArguments(parts, sshOptions), "--", parts.host];
    const [values, defaults] = await within({ signal }, (over) =>
      Promise.all([querySsh(args, over), standardValues()]),
    );
    if (values && defaults) return new Configuration(values, defaults);
  }
  return new Configuration(await readConfiguration(parts, options, signal), new Map());
}

/** As arguments of `ssh`, where what comes first is heeded. */
function settingArguments({ port, user }: DestinationParts, sshOptions: readonly string[]): string[] {
  return [
    ...sshOptions.flatMap((setting) => ["-o", setting]),
    ...(port === undefined ? [] : ["-p", String(port)]),
    ...(user === undefined ? [] : ["-l", user]),
  ];
}

let standard: { path: string | undefined; values: Promise<ConfigValues | undefined> } | undefined;

/** What the installed `ssh` does without a configuration, which is asked for once. */
function standardValues(): Promise<ConfigValues | undefined> {
  const path = process.env.PATH;
  if (standard?.path !== path) {
    const asked = { path, values: querySsh(["-F", "none", "--", "localhost"]) };
    standard = asked;
    asked.values.catch(() => {
      if (standard === asked) standard = undefined;
    });
  }
  return (standard as { values: Promise<ConfigValues | undefined> }).values;
}

/** Whether this account has a name, without which `ssh` refuses to do anything. */
function hasAccount(): boolean {
  try {
    return userInfo().username !== "";
  } catch {
    return false;
  }
}

/** A configuration may say that a host is not to be connected to. */
function refuseAsConfigured(alias: string, configuration: Configuration): void {
  const why = configuration.one("RefuseConnection");
  if (why === undefined) return;
  throw new PluginError("config-error", `The OpenSSH configuration refuses to connect to ${alias}: ${why}.`, {
    hint: "It says so with RefuseConnection.",
  });
}

/** Where to connect: names in small letters, as `ssh` looks them up. */
function targetOf(parts: DestinationParts, configuration: Configuration): Target {
  const { values } = configuration;
  const host = values.get("hostname")?.[0] ?? parts.host;
  const port = Number(values.get("port")?.[0] ?? parts.port ?? 22);
  const user = values.get("user")?.[0] ?? parts.user ?? ownName();
  try {
    return readDestination({ host: lowerCase(unbracketed(host)), port, user }) as Target;
  } catch (failure) {
    const [why = ""] = (failure as Error).message.replace(/^\[[\w-]+\] /, "").split("\n");
    throw new PluginError("config-error", `The OpenSSH configuration of ${parts.host} leads to no box: ${why}`, {
      cause: failure,
      hint: "Look at HostName and User in it.",
    });
  }
}

function unbracketed(host: string): string {
  const address = /^\[(.*)\]$/.exec(host)?.[1];
  return address !== undefined && isIPv6(address) ? address : host;
}
