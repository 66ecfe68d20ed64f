import { fileURLToPath } from "node:url";
import { PluginError } from "../../contract/errors.ts";
import type { ConnectOptions } from "../connect-options.ts";
import type { Settings } from "../settings.ts";
import type { SystemSsh } from "./system-ssh.ts";

/** How often a silent server is asked where nobody says otherwise. */
export const SERVER_ALIVE_INTERVAL_MS = 15_000;
/** How many questions may stay without an answer where nobody says otherwise. */
export const SERVER_ALIVE_COUNT_MAX = 3;
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
  pubkeyAcceptedAlgorithms: "PubkeyAcceptedAlgorithms",
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
export function sshArguments({ alias, target, options }: Settings, ssh: SystemSsh, proxyCommand?: string): string[] {
  const settings = [
    ...ALWAYS,
    ...(ssh.number >= 8.7 ? ["ForkAfterAuthentication=no"] : []),
    ...proxy(options, proxyCommand),
    ...words(options),
    ...keys(options),
    ...hostKeys(options, ssh),
    ...prompts(options, ssh),
    ...keepAlive(options),
    ...(options.sshOptions ?? []),
  ];
  return [
    ...(options.configFile === undefined ? [] : ["-F", options.configFile]),
    ...["-p", String(target.port), "-l", target.user, "-T", "-x", "-a"],
    ...settings.flatMap((setting) => ["-o", setting]),
    "--",
    alias,
  ];
}

/** Whether `ssh` may ask anything at all. */
export function mayAsk({ batchMode, passphrase, password, keyboardInteractive, confirmHostKey }: ConnectOptions) {
  return !batchMode && Boolean(passphrase || password || keyboardInteractive || confirmHostKey);
}

/** The first that is named counts, and of the two keywords the one that comes first. */
function proxy({ proxyJump, proxyCommand }: ConnectOptions, instead: string | undefined): string[] {
  if (instead !== undefined) return [`ProxyCommand=${instead}`];
  if (proxyJump !== undefined) return [`ProxyJump=${proxyJump}`];
  return proxyCommand === undefined ? [] : [`ProxyCommand=${proxyCommand}`];
}

function words(options: ConnectOptions): string[] {
  const given = Object.entries(WORDS).flatMap(([name, keyword]) => {
    const value = options[name as keyof typeof WORDS];
    return value === undefined ? [] : [`${keyword}=${value}`];
  });
  const switches = Object.entries(SWITCHES).flatMap(([name, keyword]) => {
    const value = options[name as keyof typeof SWITCHES];
    return value === undefined ? [] : [`${keyword}=${value ? "yes" : "no"}`];
  });
  return [...given, ...switches];
}

function keys({ identityFile, identityAgent }: ConnectOptions): string[] {
  const files = identityFile === undefined ? [] : [identityFile].flat();
  return [
    ...(identityAgent === undefined ? [] : [`IdentityAgent=${quoted(identityAgent)}`]),
    ...(identityFile !== undefined && files.length === 0 ? ["IdentityFile=none"] : []),
    ...files.map((file) => `IdentityFile=${quoted(file)}`),
  ];
}

function hostKeys(options: ConnectOptions, ssh: SystemSsh): string[] {
  const { hostKeyFingerprints, userKnownHostsFile, globalKnownHostsFile, confirmHostKey } = options;
  if (hostKeyFingerprints) return ["NoHostAuthenticationForLocalhost=no", ...pins(hostKeyFingerprints, ssh)];
  const { strictHostKeyChecking = confirmHostKey ? "ask" : "yes" } = options;
  const cannotAsk = strictHostKeyChecking === "ask" && (!confirmHostKey || options.batchMode);
  return [
    "NoHostAuthenticationForLocalhost=no",
    `StrictHostKeyChecking=${cannotAsk ? "yes" : strictHostKeyChecking}`,
    ...files("UserKnownHostsFile", userKnownHostsFile),
    ...files("GlobalKnownHostsFile", globalKnownHostsFile),
  ];
}

/** Only these keys are trusted: a command of ours vouches for them, and no file does. */
function pins(fingerprints: readonly string[], ssh: SystemSsh): string[] {
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
    "VerifyHostKeyDNS=no",
    `KnownHostsCommand=${command}`,
  ];
}

/** What nobody would answer is not begun. */
function prompts(options: ConnectOptions, ssh: SystemSsh): string[] {
  if (!mayAsk(options)) return ["BatchMode=yes"];
  // An older one shows a server's question as it is, so that a server could ask for a passphrase.
  const canTell = ssh.number >= 8.7;
  return [
    "BatchMode=no",
    `PasswordAuthentication=${options.password ? "yes" : "no"}`,
    `KbdInteractiveAuthentication=${options.keyboardInteractive && canTell ? "yes" : "no"}`,
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
function files(keyword: string, option: string | readonly string[] | undefined): string[] {
  if (option === undefined) return [];
  const paths = [option].flat();
  return [`${keyword}=${paths.length === 0 ? "/dev/null" : paths.map(quoted).join(" ")}`];
}

/** A path as `ssh` reads it in a configuration, where a percent sign would be a token. */
function quoted(path: string): string {
  if (path.includes('"')) {
    throw new PluginError("unsupported", `\`ssh\` cannot be told of a path with a quote in it: ${path}`);
  }
  return `"${path.replaceAll("%", "%%")}"`;
}
