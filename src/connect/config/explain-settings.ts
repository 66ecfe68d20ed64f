import { homedir } from "node:os";
import { join } from "node:path";
import { type AlgorithmChoice, algorithmList } from "../algorithm-list.ts";
import { TRANSPORT } from "../algorithms.ts";
import { preferredMethods } from "../authentication-methods.ts";
import type { ConnectOptions } from "../connect-options.ts";
import { CONNECT_TIMEOUT_MS, SERVER_ALIVE_COUNT_MAX, SERVER_ALIVE_INTERVAL_MS } from "../default-patience.ts";
import type { Destination } from "../destination.ts";
import { offeredHostKeys } from "../host-key-algorithms.ts";
import { identityFiles } from "../identity-files.ts";
import { KEY_ALGORITHMS } from "../key-algorithms.ts";
import { defaultKnownHostsFiles } from "../known-hosts-files.ts";
import { parseConfigLine } from "./config-line.ts";
import { KEYWORDS, type Keyword, keywordNamed } from "./keywords.ts";
import { type Resolution, resolve } from "./resolve-settings.ts";

/** Who decided about a setting. */
export type SettingSource = "option" | "URL" | "OpenSSH configuration" | "default";

/** One setting of a connection, in OpenSSH's words. */
export interface ExplainedSetting {
  /** OpenSSH's keyword in small letters, as `ssh -G` prints it. */
  readonly keyword: string;
  /** A list where there may be several. */
  readonly value: string | readonly string[];
  readonly source: SettingSource;
  /** Whether it is done as it says. */
  readonly honoured: boolean;
  /** What there is to know about it, why it is not done for example; often empty. */
  readonly note: string;
}

/** How a box would be connected to, and why so. */
export interface ExplainedSettings {
  /** First what a connection is made with, then what is configured besides. */
  readonly settings: readonly ExplainedSetting[];
  /** What would speak SSH. */
  readonly backend: "ssh2" | "openssh";
  /** What only the system's `ssh` can do of what was asked for, a phrase each. */
  readonly needsOpenSsh: readonly string[];
  /** What is configured and will not be done as it says, a sentence each. */
  readonly notices: readonly string[];
}

/**
 * Tells how a box would be connected to, without connecting: each setting with its value, and whether an option, the
 * URL, the OpenSSH configuration or a default decided.
 *
 * @throws {PluginError} as connecting does before it connects: `bad-options`, `config-error`, `timeout` or `aborted`
 */
export async function explainSettings(
  destination: Destination,
  options: ConnectOptions = {},
  signal?: AbortSignal,
): Promise<ExplainedSettings> {
  const resolution = await resolve(destination, options, signal);
  const { needsOpenSsh } = resolution.settings;
  const { backend = "auto" } = resolution.given;
  const bySystem = backend === "openssh" || (backend === "auto" && needsOpenSsh.length > 0);
  const besides = others(resolution, bySystem);
  const isBesides = ({ keyword }: ExplainedSetting) => besides.some((other) => other.keyword === keyword);
  return {
    settings: [...honoured(resolution, bySystem).filter((setting) => !isBesides(setting)), ...besides],
    backend: bySystem ? "openssh" : "ssh2",
    needsOpenSsh,
    notices: resolution.notices,
  };
}

/** What a connection is made with. */
function honoured(resolution: Resolution, bySystem: boolean): ExplainedSetting[] {
  const values = inWords(resolution, bySystem);
  return KEYWORDS.filter(({ name }) => values[name] !== undefined).map((keyword) => ({
    keyword: keyword.name.toLowerCase(),
    value: values[keyword.name] as string | string[],
    source: sourceOf(keyword, resolution),
    honoured: true,
    note: "",
  }));
}

/** What is configured besides, whatever becomes of it. */
function others({ configuration, given }: Resolution, bySystem: boolean): ExplainedSetting[] {
  return configuration
    .changed()
    .map((name) => ({ name, keyword: keywordNamed(name) }))
    .filter(({ keyword }) => !["honoured", "read"].includes(keyword.treatment))
    .map(({ name, keyword }) => ({
      keyword: name,
      value: single(configuration.all(name) ?? []),
      source: isAmong(given.sshOptions, name) ? ("option" as const) : ("OpenSSH configuration" as const),
      honoured: bySystem && (keyword.treatment === "openssh" || keyword.bySsh === true),
      note: keyword.note,
    }));
}

/** The settings of a connection as `ssh -G` would print them, defaults too. */
function inWords({ settings, configuration }: Resolution, bySystem: boolean): Record<string, string | string[]> {
  const { target, options } = settings;
  const known = defaultKnownHostsFiles();
  const yes = (value: boolean | undefined, usual = false) => ((value ?? usual) ? "yes" : "no");
  const seconds = (value: number) => (value === 0 ? "0" : String(value / 1000));
  const algorithms = (keyword: string, ours: () => readonly string[]) =>
    (bySystem && configuration.values.get(keyword.toLowerCase())?.[0]) || ours().join(",");
  return {
    HostName: target.host,
    Port: String(target.port),
    User: target.user,
    HostKeyAlias: options.hostKeyAlias ?? "none",
    AddressFamily: options.addressFamily ?? "any",
    BindAddress: options.bindAddress ?? "none",
    ConnectTimeout: seconds(options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS),
    ConnectionAttempts: String(options.connectionAttempts ?? 1),
    IdentityFile: keyFiles(options),
    IdentitiesOnly: yes(options.identitiesOnly),
    IdentityAgent: options.identityAgent ?? (process.env.SSH_AUTH_SOCK || "none"),
    AddKeysToAgent: "no",
    UserKnownHostsFile: list(options.userKnownHostsFile) ?? known.userKnownHostsFile,
    GlobalKnownHostsFile: list(options.globalKnownHostsFile) ?? known.globalKnownHostsFile,
    StrictHostKeyChecking: options.strictHostKeyChecking ?? "ask",
    HashKnownHosts: yes(options.hashKnownHosts),
    ProxyJump: options.proxyJump ?? "none",
    ProxyCommand: options.proxyCommand ?? "none",
    ServerAliveInterval: seconds(options.serverAliveIntervalMs ?? SERVER_ALIVE_INTERVAL_MS),
    ServerAliveCountMax: String(options.serverAliveCountMax ?? SERVER_ALIVE_COUNT_MAX),
    TCPKeepAlive: yes(options.tcpKeepAlive, true),
    Compression: yes(options.compression),
    Ciphers: algorithms("Ciphers", () => names("ciphers", options.ciphers, TRANSPORT.ciphers)),
    KexAlgorithms: algorithms("KexAlgorithms", () =>
      names("kexAlgorithms", options.kexAlgorithms, TRANSPORT.kexAlgorithms),
    ),
    MACs: algorithms("MACs", () => names("macs", options.macs, TRANSPORT.macs)),
    HostKeyAlgorithms: algorithms("HostKeyAlgorithms", () => offeredHostKeys(options.hostKeyAlgorithms).names),
    PubkeyAcceptedAlgorithms: algorithms("PubkeyAcceptedAlgorithms", () =>
      names("pubkeyAcceptedAlgorithms", options.pubkeyAcceptedAlgorithms, KEY_ALGORITHMS),
    ),
    PreferredAuthentications: bySystem
      ? (options.preferredAuthentications ?? "gssapi-with-mic,hostbased,publickey,keyboard-interactive,password")
      : preferredMethods(options.preferredAuthentications).order.join(",") || "none",
    BatchMode: yes(options.batchMode),
    NumberOfPasswordPrompts: String(options.numberOfPasswordPrompts ?? 3),
  };
}

/** Who decided about a keyword that is honoured. */
function sourceOf({ name, option }: Keyword, { parts, given, settings, configuration }: Resolution): SettingSource {
  if (isAmong(given.sshOptions, name) || (option !== undefined && given[option] !== undefined)) return "option";
  const isConfigured = option === undefined || settings.options[option] !== undefined;
  if (name === "HostName") return settings.target.host === parts.host.toLowerCase() ? "URL" : "OpenSSH configuration";
  if ((name === "Port" && parts.port !== undefined) || (name === "User" && parts.user !== undefined)) return "URL";
  const keywords = KEYWORDS.filter((other) => other.name === name || (option !== undefined && other.option === option));
  const isSet = keywords.some((other) => configuration.all(other.name) !== undefined);
  return isSet && isConfigured && name !== "AddKeysToAgent" ? "OpenSSH configuration" : "default";
}

/** Whether a keyword is among settings such as `Port=22`. */
function isAmong(sshOptions: readonly string[] = [], keyword: string): boolean {
  return sshOptions.some((text) => parseConfigLine(text)?.keyword === keyword.toLowerCase());
}

function names(option: string, text: string | undefined, choice: AlgorithmChoice): readonly string[] {
  return text === undefined ? choice.defaults : algorithmList(option, text, choice).names;
}

/** The files of a known_hosts option; none are one word, as in a configuration. */
function list(value: string | readonly string[] | undefined): string[] | undefined {
  if (value === undefined) return undefined;
  return value.length === 0 ? ["none"] : [value].flat();
}

/** Key files with the home directory as people write it. */
function keyFiles(options: ConnectOptions): string[] {
  const files = identityFiles(options).map(({ file }) => file);
  const home = join(homedir(), "/");
  const shown = files.map((file) => (file.startsWith(home) ? `~/${file.slice(home.length)}` : file));
  return shown.length === 0 ? ["none"] : shown;
}

function single(values: readonly string[]): string | readonly string[] {
  return values.length === 1 ? (values[0] as string) : values;
}
