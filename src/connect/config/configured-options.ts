import { type ConnectOptions, LONGEST_MS } from "../connect-options.ts";
import type { Target } from "../destination.ts";
import type { Configuration } from "./config-values.ts";
import { connectionTokens, expandTilde, expandTokens } from "./expand-tokens.ts";

/** OpenSSH's order where PreferredAuthentications does not say another. */
const METHODS = ["gssapi-with-mic", "hostbased", "publickey", "keyboard-interactive", "password"];

/** What a connection is made with when nobody says otherwise, and what the configuration is about. */
export interface ConfiguredFor {
  alias: string;
  target: Target;
  /** What the caller said, which goes before the configuration. */
  given: ConnectOptions;
}

/**
 * The options that a configuration sets to something else than OpenSSH's defaults. Names, lists and files are such that
 * nothing has to be expanded in them any more, but for the tokens of a proxy command.
 *
 * @throws {PluginError} `config-error` for what cannot be expanded
 */
export function configuredOptions(configuration: Configuration, subject: ConfiguredFor): ConnectOptions {
  const { given } = subject;
  const text = (keyword: string) => configuration.one(keyword);
  const number = (keyword: string) => toNumber(configuration.one(keyword));
  const milliseconds = (keyword: string) => toMs(configuration.one(keyword));
  const yes = (keyword: string) => isYes(configuration.one(keyword));
  const list = (keyword: string) => signedList(text(keyword), configuration.defaults.get(keyword.toLowerCase())?.[0]);
  const proxied = given.proxyJump !== undefined || given.proxyCommand !== undefined;
  const options: { [K in keyof ConnectOptions]: ConnectOptions[K] | undefined } = {
    hostKeyAlias: text("HostKeyAlias"),
    addressFamily: text("AddressFamily") as ConnectOptions["addressFamily"],
    bindAddress: text("BindAddress"),
    connectTimeoutMs: milliseconds("ConnectTimeout"),
    connectionAttempts: number("ConnectionAttempts"),
    identitiesOnly: yes("IdentitiesOnly"),
    identityAgent: agent(text("IdentityAgent")),
    userKnownHostsFile: files(text("UserKnownHostsFile")),
    globalKnownHostsFile: files(text("GlobalKnownHostsFile")),
    strictHostKeyChecking: strictness(text("StrictHostKeyChecking")),
    hashKnownHosts: yes("HashKnownHosts"),
    proxyJump: proxied ? undefined : jump(text("ProxyJump")),
    proxyCommand: proxied ? undefined : unlessNone(text("ProxyCommand")),
    serverAliveIntervalMs: milliseconds("ServerAliveInterval"),
    serverAliveCountMax: number("ServerAliveCountMax"),
    tcpKeepAlive: yes("TCPKeepAlive"),
    compression: yes("Compression"),
    ciphers: list("Ciphers"),
    // As a whole, because ssh2 has more by default: to take away from its default would leave these.
    kexAlgorithms: text("KexAlgorithms"),
    macs: list("MACs"),
    hostKeyAlgorithms: list("HostKeyAlgorithms"),
    pubkeyAcceptedAlgorithms: list("PubkeyAcceptedAlgorithms"),
    preferredAuthentications: methods(configuration),
    batchMode: yes("BatchMode"),
    numberOfPasswordPrompts: number("NumberOfPasswordPrompts") || undefined,
  };
  const set = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as ConnectOptions;
  const identityFile = identities(configuration, { ...subject, given: { ...set, ...given } });
  return identityFile === undefined ? set : { ...set, identityFile };
}

/** `IdentityFile`, with nothing left to expand; `none` stands for no file. */
function identities(configuration: Configuration, { alias, target, given }: ConfiguredFor): string[] | undefined {
  const named = configuration.all("IdentityFile");
  if (!named || given.identityFile !== undefined) return undefined;
  const tokens = connectionTokens({ alias, target, hostKeyAlias: given.hostKeyAlias, proxyJump: given.proxyJump });
  return named
    .filter((file) => file.toLowerCase() !== "none")
    .map((file) => expandTokens("IdentityFile", expandTilde("IdentityFile", file), tokens));
}

function isYes(value: string | undefined): boolean | undefined {
  return value === undefined ? undefined : value === "yes" || value === "true";
}

function toNumber(value: string | undefined): number | undefined {
  return value === undefined || !/^\d+$/.test(value) ? undefined : Number(value);
}

function toMs(value: string | undefined): number | undefined {
  const seconds = toNumber(value);
  return seconds === undefined ? undefined : Math.min(seconds * 1000, LONGEST_MS);
}

function unlessNone(value: string | undefined): string | undefined {
  return value?.toLowerCase() === "none" ? undefined : value;
}

/** `ssh -G` writes addresses in brackets, IPv4 too, which are names like any other in a list of hops. */
function jump(value: string | undefined): string | undefined {
  return unlessNone(value)?.replace(/\[([\d.]+)\]/g, "$1");
}

/** An agent's socket: as `IdentityAgent` names it, or the variable that it names. A variable that is not set: none. */
function agent(value: string | undefined): string | undefined {
  if (value === undefined || value === "SSH_AUTH_SOCK") return undefined;
  if (value.startsWith("$")) return process.env[value.slice(1)] || "none";
  return value.toLowerCase() === "none" ? "none" : value;
}

/** `ssh -G` joins the files by blanks, which may also be part of a name: what begins a file is absolute. */
function files(value: string | undefined): string[] | undefined {
  if (value === undefined) return undefined;
  return value.toLowerCase() === "none" ? [] : value.split(/ (?=[/~])/);
}

/** Host keys are always verified, so `no` is the laxest way in which they can be. */
function strictness(value: string | undefined): ConnectOptions["strictHostKeyChecking"] {
  if (value === undefined) return undefined;
  if (value === "true" || value === "yes") return "yes";
  return value === "ask" ? "ask" : "accept-new";
}

/**
 * A list of algorithms with the `+`, `^` or `-` that it was probably given with: `ssh -G` tells it whole, with defaults
 * that are OpenSSH's and not ours. Besides, a list of host key algorithms that was given whole keeps its order
 * whatever is on record.
 */
function signedList(value: string | undefined, standard = ""): string | undefined {
  if (value === undefined) return undefined;
  const [list, usual] = [value.split(","), standard.split(",")];
  const added = list.filter((name) => !usual.includes(name));
  if (same(list, [...usual, ...added])) return `+${added.join(",")}`;
  const missing = usual.filter((name) => !list.includes(name));
  if (same(list, without(usual, missing))) return `-${missing.join(",")}`;
  const first = list.slice(0, list.length - commonEnd(list, usual));
  return same(list, [...first, ...without(usual, first)]) ? `^${first.join(",")}` : value;
}

/** How many names at the end of `list` are in the same order in `usual`. */
function commonEnd(list: readonly string[], usual: readonly string[]): number {
  let at = usual.length;
  const ordered = [...list].reverse().findIndex((name) => {
    const found = usual.lastIndexOf(name, at - 1);
    const isNext = at > 0 && found !== -1;
    at = found;
    return !isNext;
  });
  return ordered === -1 ? list.length : ordered;
}

function without(names: readonly string[], removed: readonly string[]): string[] {
  return names.filter((name) => !removed.includes(name));
}

function same(one: readonly string[], other: readonly string[]): boolean {
  return one.join() === other.join();
}

/** The methods to try, without those that are switched off. */
function methods(configuration: Configuration): string | undefined {
  const off = new Set<string>();
  if (isNo(configuration.one("PubkeyAuthentication"))) off.add("publickey");
  if (isNo(configuration.one("PasswordAuthentication"))) off.add("password");
  if (isNo(configuration.one("KbdInteractiveAuthentication"))) off.add("keyboard-interactive");
  if (configuration.one("NumberOfPasswordPrompts") === "0") off.add("password").add("keyboard-interactive");
  const preferred = configuration.one("PreferredAuthentications");
  if (off.size === 0) return preferred;
  return (preferred?.split(",") ?? METHODS).filter((method) => !off.has(method)).join(",") || "none";
}

function isNo(value: string | undefined): boolean {
  return value === "no" || value === "false";
}
