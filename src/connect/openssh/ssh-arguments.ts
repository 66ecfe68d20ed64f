import { fileURLToPath } from "node:url";
import { PluginError } from "../../contract/errors.ts";
import type { ConnectOptions } from "../connect-options.ts";
import { SERVER_ALIVE_COUNT_MAX, SERVER_ALIVE_INTERVAL_MS } from "../default-patience.ts";
import { offeredHostKeys } from "../host-key-algorithms.ts";
import { expandHome } from "../identity-files.ts";
import type { Settings } from "../settings.ts";
import { isGiven } from "../way/parse-hops.ts";
import type { SystemSsh } from "./system-ssh.ts";

const PINNED_KEY = fileURLToPath(new URL("./pinned-key.sh", import.meta.url));

/** What must be so for a master that carries our channels and nothing else, whatever the configuration says. */
const ALWAYS = [
  "ControlPersist=no",
  "ClearAllForwardings=yes",
  "ForwardAgent=no",
  "ForwardX11=no",
  "PermitLocalCommand=no",
  "RemoteCommand=none",
  "RequestTTY=no",
  "Tunnel=no",
  "AddKeysToAgent=no",
  "UpdateHostKeys=no",
  "VisualHostKey=no",
  "EscapeChar=none",
  // A key that the DNS vouches for would be trusted before the known_hosts files are read, although it has changed.
  "VerifyHostKeyDNS=no",
  // The deadline is ours, of all that leads to the box.
  "ConnectTimeout=0",
];

/** Options that are called the same and hold what `ssh` wants to read. */
const WORDS = {
  addressFamily: "AddressFamily",
  bindAddress: "BindAddress",
  connectionAttempts: "ConnectionAttempts",
  ciphers: "Ciphers",
  kexAlgorithms: "KexAlgorithms",
  macs: "MACs",
  hostKeyAlgorithms: "HostKeyAlgorithms",
  preferredAuthentications: "PreferredAuthentications",
  numberOfPasswordPrompts: "NumberOfPasswordPrompts",
  hostKeyAlias: "HostKeyAlias",
} as const satisfies Partial<Record<keyof ConnectOptions, string>>;

const SWITCHES = {
  tcpKeepAlive: "TCPKeepAlive",
  compression: "Compression",
  identitiesOnly: "IdentitiesOnly",
  hashKnownHosts: "HashKnownHosts",
} as const satisfies Partial<Record<keyof ConnectOptions, string>>;

/**
 * What says to `ssh` where to connect and how, as explicit as the caller was: it reads the same configuration by itself
 * for the rest. No secret is among it.
 *
 * @param proxyCommand what to connect by in place of what the settings name
 */
export function sshArguments(settings: Settings, ssh: SystemSsh, proxyCommand?: string): string[] {
  const { alias, target, options } = settings;
  const said = [
    ...ALWAYS,
    ...(ssh.number >= 8.7 ? ["ForkAfterAuthentication=no"] : []),
    ...proxy(options, proxyCommand),
    ...hostKeys(options, ssh),
    ...words(options, ssh),
    ...keys(settings),
    ...prompts(options, ssh),
    ...keepAlive(options),
    ...(options.sshOptions ?? []),
  ];
  return [
    ...(options.configFile === undefined ? [] : ["-F", expandHome(options.configFile)]),
    ...["-p", String(target.port), "-l", target.user, "-T", "-x", "-a"],
    ...said.flatMap((setting) => ["-o", setting]),
    "--",
    alias,
  ];
}

/** Whether `ssh` may ask anything at all. */
export function mayAsk({ batchMode, passphrase, password, keyboardInteractive, confirmHostKey }: ConnectOptions) {
  return !batchMode && Boolean(passphrase || password || keyboardInteractive || confirmHostKey);
}

/** The first that is named counts, and of the two keywords the one that comes first: `none` is for both. */
function proxy({ proxyJump, proxyCommand }: ConnectOptions, instead: string | undefined): string[] {
  // What stands in for the way is a stream, whatever the configuration's own command would have passed.
  if (instead !== undefined) return [`ProxyCommand=${instead}`, "ProxyUseFdpass=no"];
  if (isGiven(proxyJump)) return [`ProxyJump=${proxyJump}`];
  if (isGiven(proxyCommand)) return [`ProxyCommand=${proxyCommand}`];
  return proxyJump === undefined && proxyCommand === undefined ? [] : ["ProxyCommand=none"];
}

function words(options: ConnectOptions, ssh: SystemSsh): string[] {
  const { pubkeyAcceptedAlgorithms } = options;
  const accepted = ssh.number >= 8.5 ? "PubkeyAcceptedAlgorithms" : "PubkeyAcceptedKeyTypes";

  const given = Object.entries(WORDS).flatMap(([name, keyword]) => {
    const value = options[name as keyof typeof WORDS];
    return value === undefined ? [] : [`${keyword}=${value}`];
  });
  const switches = Object.entries(SWITCHES).flatMap(([name, keyword]) => {
    const value = options[name as keyof typeof SWITCHES];
    return value === undefined ? [] : [`${keyword}=${value ? "yes" : "no"}`];
  });
  const signatures = pubkeyAcceptedAlgorithms === undefined ? [] : [`${accepted}=${pubkeyAcceptedAlgorithms}`];
  return [...given, ...signatures, ...switches];
}

/** IdentityFile adds up, so the files of the configuration are left to `ssh`: it would try each twice. */
function keys({ options: { identityFile, identityAgent }, hasConfiguredKeys }: Settings): string[] {
  const agent = identityAgent === undefined ? [] : [`IdentityAgent=${quoted(identityAgent)}`];
  if (identityFile === undefined || hasConfiguredKeys) return agent;
  const files = [identityFile].flat().map((file) => `IdentityFile=${quoted(file)}`);
  return [...agent, ...(files.length === 0 ? ["IdentityFile=none"] : files)];
}

function hostKeys(options: ConnectOptions, ssh: SystemSsh): string[] {
  const { hostKeyFingerprints, userKnownHostsFile, globalKnownHostsFile, confirmHostKey } = options;
  if (hostKeyFingerprints) return ["NoHostAuthenticationForLocalhost=no", ...pins(hostKeyFingerprints, options, ssh)];
  const { strictHostKeyChecking = confirmHostKey ? "ask" : "yes" } = options;
  const cannotAsk = strictHostKeyChecking === "ask" && (!confirmHostKey || options.batchMode);
  // A new key that is recorded nowhere would be new for ever.
  const cannotRecord = userKnownHostsFile !== undefined && [userKnownHostsFile].flat().length === 0;
  return [
    "NoHostAuthenticationForLocalhost=no",
    `StrictHostKeyChecking=${cannotAsk || cannotRecord ? "yes" : strictHostKeyChecking}`,
    ...files("UserKnownHostsFile", userKnownHostsFile, quoted),
    ...files("GlobalKnownHostsFile", globalKnownHostsFile, inQuotes),
  ];
}

/** Only these keys are trusted: a command of ours vouches for them, and no file does. */
function pins(fingerprints: readonly string[], { hostKeyAlgorithms }: ConnectOptions, ssh: SystemSsh): string[] {
  if (ssh.number < 8.5) {
    throw new PluginError("unsupported", `\`hostKeyFingerprints\` needs OpenSSH 8.5, and this is ${ssh.version}.`, {
      hint: "Put the key into a known_hosts file instead.",
    });
  }
  const command = ["/bin/sh", quoted(PINNED_KEY), "%f", "%H", "%t", "%K", ...fingerprints].join(" ");
  return [
    "StrictHostKeyChecking=yes",
    "UserKnownHostsFile=/dev/null",
    "GlobalKnownHostsFile=/dev/null",
    // A pin is of a key: a server that has a certificate for it must not show that instead.
    `HostKeyAlgorithms=${hostKeyAlgorithms === undefined ? "-*-cert-v01@openssh.com" : offeredHostKeys(hostKeyAlgorithms).names}`,
    `KnownHostsCommand=${command}`,
  ];
}

/** What nobody would answer is not begun. */
function prompts(options: ConnectOptions, ssh: SystemSsh): string[] {
  if (!mayAsk(options)) return ["BatchMode=yes"];
  // An older one shows a server's question as it is, so that a server could ask for a passphrase.
  const isAsked = options.keyboardInteractive && ssh.number >= 8.7 ? "yes" : "no";
  return [
    "BatchMode=no",
    `PasswordAuthentication=${options.password ? "yes" : "no"}`,
    `KbdInteractiveAuthentication=${isAsked}`,
    // Before 8.7 this one, which is on by default, turns the other on; it is its other name since.
    `ChallengeResponseAuthentication=${isAsked}`,
  ];
}

function keepAlive(options: ConnectOptions): string[] {
  const { serverAliveIntervalMs = SERVER_ALIVE_INTERVAL_MS, serverAliveCountMax = SERVER_ALIVE_COUNT_MAX } = options;
  return [
    `ServerAliveInterval=${Math.ceil(serverAliveIntervalMs / 1000)}`,
    `ServerAliveCountMax=${Math.max(1, Math.round(serverAliveCountMax))}`,
  ];
}

/** An empty list is no file at all. */
function files(
  keyword: string,
  option: string | readonly string[] | undefined,
  quote: (path: string) => string,
): string[] {
  if (option === undefined) return [];
  const paths = [option].flat();
  return [`${keyword}=${paths.length === 0 ? "/dev/null" : paths.map(quote).join(" ")}`];
}

/** A path as `ssh` reads it where a percent sign would be a token. */
function quoted(path: string): string {
  return inQuotes(path.replaceAll("%", "%%"));
}

/** A path as `ssh` reads it where there are no tokens. */
function inQuotes(path: string): string {
  if (path.includes('"')) {
    throw new PluginError("unsupported", `\`ssh\` cannot be told of a path with a quote in it: ${path}`);
  }
  return `"${path}"`;
}
