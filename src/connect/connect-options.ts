import { PluginError } from "../contract/errors.ts";

/** One question of the server's, as keyboard-interactive authentication asks it. */
export interface KeyboardInteractivePrompt {
  /** The question, foreign text: make it harmless before it goes to a terminal. */
  prompt: string;
  /** Whether the answer may be seen while it is typed. */
  echo: boolean;
}

/** A host key that is on no record, as whoever decides about it sees it. */
export interface HostKeyPrompt {
  host: string;
  port: number;
  /** The type of the key, `ssh-ed25519` for example. */
  type: string;
  /** `SHA256:` and the digest, as `ssh-keygen -l` prints it. */
  fingerprint: string;
  /** The file that the key will be written to if the answer is yes. */
  file: string;
  signal: AbortSignal;
}

/**
 * How to reach a box and to prove who we are. Names are OpenSSH's, in camelCase. What is left out is taken from the
 * OpenSSH configuration, and where that says nothing it is as told here.
 */
export interface ConnectOptions {
  /**
   * The OpenSSH configuration to read, as with `ssh -F`: one file in place of the user's and the system's, or `"none"`.
   * @default ~/.ssh/config and /etc/ssh/ssh_config
   */
  configFile?: string;
  /** Further settings in OpenSSH's words, `Keyword=value` each, as with `ssh -o`. They go before the files. */
  sshOptions?: readonly string[];
  /**
   * What speaks SSH: the library `ssh2` in this process, or the system's `ssh`. `"auto"` takes `ssh` only where the
   * configuration asks for something that `ssh2` cannot do (certificates, FIDO keys, GSSAPI, PKCS#11), and says so.
   * @default "auto"
   */
  backend?: "auto" | "ssh2" | "openssh";
  /** Told in a sentence what is not done as the configuration says, and what was chosen by itself. @default `DEBUG` shows it */
  onNotice?: (text: string) => void;
  /** @default "any" */
  addressFamily?: "any" | "inet" | "inet6";
  /** The address of this machine to connect from. */
  bindAddress?: string;
  /** How often to try to reach the server, a second apart. @default 1 */
  connectionAttempts?: number;
  /**
   * The boxes to go through, nearest first: `user@host:port` each, joined by commas; or `"none"`. Each is connected to
   * by its own configuration: of these options a hop gets `configFile`, `backend`, `batchMode` and the callbacks only.
   */
  proxyJump?: string;
  /**
   * A command of this machine whose stdin and stdout are the connection, with OpenSSH's tokens; or `"none"`. It is run by
   * the user's shell, without a terminal, and ended with the connection. A `proxyJump` beside it wins.
   */
  proxyCommand?: string;
  /** Whether the system asks a silent peer if it is still there. @default true */
  tcpKeepAlive?: boolean;
  /** @default false */
  compression?: boolean;
  /** A list as in ssh_config, with `+`, `-` or `^` at its beginning to change the default. */
  ciphers?: string;
  /** As {@link ciphers}. */
  kexAlgorithms?: string;
  /** As {@link ciphers}. */
  macs?: string;
  /** As {@link ciphers}. Types on record for the host go first, unless it names them without such a sign. */
  hostKeyAlgorithms?: string;
  /**
   * As {@link ciphers}: the signature algorithms that keys may be used with. An RSA key signs with the first of them that
   * is one of its own.
   */
  pubkeyAcceptedAlgorithms?: string;
  /** The methods to try, in their order, joined by commas. @default OpenSSH's order */
  preferredAuthentications?: string;
  /** Offer no key but those of `identityFile`, even if the agent has more. @default false */
  identitiesOnly?: boolean;
  /** Ask nobody: the callbacks are not called. @default false */
  batchMode?: boolean;
  /** How often a password, a passphrase or a server's questions are answered before it is given up. @default 3 */
  numberOfPasswordPrompts?: number;
  /** Whether names that are written to known_hosts are hashed. @default false */
  hashKnownHosts?: boolean;
  /**
   * Private key files, tried in this order. A key that its file does not tell is offered only if the file is there.
   * @default ["~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa"], those that exist
   */
  identityFile?: string | readonly string[];
  /**
   * The agent's socket, or `"none"`. Keys of `identityFile` that the agent holds are offered first.
   * @default the environment variable SSH_AUTH_SOCK
   */
  identityAgent?: string;
  /**
   * Asked for the passphrase of an encrypted key file, once the server would have the key; again if it was wrong, as often
   * as `numberOfPasswordPrompts` says. `undefined` as answer, or the same one twice, leaves the key out. Where the system's
   * `ssh` connects, also for the PIN of a token: `file` is the key file that needs it, or the token's label.
   */
  passphrase?: (question: { file: string; signal: AbortSignal }) => Promise<string | undefined> | string | undefined;
  /** Asked for the account's password, if the server takes one and no key was accepted. `undefined`: give up. */
  password?: (question: {
    user: string;
    host: string;
    signal: AbortSignal;
  }) => Promise<string | undefined> | string | undefined;
  /** Asked what the server asks. `undefined` as answer: give up. */
  keyboardInteractive?: (question: {
    user: string;
    host: string;
    name: string;
    instructions: string;
    prompts: readonly KeyboardInteractivePrompt[];
    signal: AbortSignal;
  }) => Promise<readonly string[] | undefined> | readonly string[] | undefined;
  /** @default ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"] */
  userKnownHostsFile?: string | readonly string[];
  /** @default ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"] */
  globalKnownHostsFile?: string | readonly string[];
  /**
   * `"yes"`: the server's key must be on record. `"accept-new"`: a key of a host without a record is written to the
   * first user file and trusted. `"ask"`: so if `confirmHostKey` says yes; without it, as `"yes"`. There is no way to
   * trust a key that has changed.
   * @default "yes", or "ask" where there is a `confirmHostKey`
   */
  strictHostKeyChecking?: "yes" | "ask" | "accept-new";
  /** Asked about the key of a host without a record. */
  confirmHostKey?: (question: HostKeyPrompt) => Promise<boolean> | boolean;
  /** The name to look up in the known_hosts files instead of the host's. */
  hostKeyAlias?: string;
  /** The only keys to trust, as `ssh-keygen -l` prints them: `SHA256:…`. A file can only revoke one of them then. */
  hostKeyFingerprints?: readonly string[];
  /** From the first packet to the end of authentication, without the time that callbacks take. 0: no limit. @default 30_000 */
  connectTimeoutMs?: number;
  /** How often a silent server is asked whether it is still there. 0: never. @default 15_000 */
  serverAliveIntervalMs?: number;
  /** How many of these questions may stay without an answer. @default 3 */
  serverAliveCountMax?: number;
}

/** Every option of {@link ConnectOptions}, to refuse what nobody knows. */
const NAMES = new Set<string>([
  "configFile",
  "sshOptions",
  "backend",
  "onNotice",
  "addressFamily",
  "bindAddress",
  "connectionAttempts",
  "proxyJump",
  "proxyCommand",
  "tcpKeepAlive",
  "compression",
  "ciphers",
  "kexAlgorithms",
  "macs",
  "hostKeyAlgorithms",
  "pubkeyAcceptedAlgorithms",
  "preferredAuthentications",
  "identitiesOnly",
  "batchMode",
  "numberOfPasswordPrompts",
  "hashKnownHosts",
  "confirmHostKey",
  "identityFile",
  "identityAgent",
  "passphrase",
  "password",
  "keyboardInteractive",
  "userKnownHostsFile",
  "globalKnownHostsFile",
  "strictHostKeyChecking",
  "hostKeyAlias",
  "hostKeyFingerprints",
  "connectTimeoutMs",
  "serverAliveIntervalMs",
  "serverAliveCountMax",
] satisfies (keyof ConnectOptions)[]);

/** The names of {@link ConnectOptions}. */
export function isConnectOption(name: string): boolean {
  return NAMES.has(name);
}

/**
 * Refuses options that cannot be used, before anything is opened.
 *
 * @throws {PluginError} `bad-options` naming the option, what it must be and what it was
 */
export function checkConnectOptions(options: ConnectOptions): void {
  const unknown = Object.keys(options).find((name) => !isConnectOption(name));
  if (unknown !== undefined) {
    throw new PluginError("bad-options", `There is no option ${JSON.stringify(unknown)}.`, {
      hint: "Check its spelling against the documentation of `ConnectOptions`.",
    });
  }
  for (const name of ["connectTimeoutMs", "serverAliveIntervalMs", "serverAliveCountMax"] as const) {
    checkNumber(name, options[name]);
  }
  for (const name of ["connectionAttempts", "numberOfPasswordPrompts"] as const) checkCount(name, options[name]);
  for (const name of CALLBACKS) checkCallback(name, options[name]);
  for (const name of ["identityFile", "userKnownHostsFile", "globalKnownHostsFile"] as const) {
    if (options[name] !== undefined && ![options[name]].flat().every(isText)) refuse(name, "a path or a list of paths");
  }
  for (const name of TEXTS) {
    if (options[name] !== undefined && typeof options[name] !== "string") refuse(name, "a string");
  }
  for (const name of SWITCHES) {
    if (options[name] !== undefined && typeof options[name] !== "boolean") refuse(name, "true or false");
  }
  if (options.configFile !== undefined && !isText(options.configFile)) refuse("configFile", 'a path, or "none"');
  if (options.sshOptions !== undefined && !(Array.isArray(options.sshOptions) && options.sshOptions.every(isLine))) {
    refuse("sshOptions", 'a list of strings such as "Keyword=value"');
  }
  checkChoice("backend", options.backend, ["auto", "ssh2", "openssh"]);
  checkChoice("addressFamily", options.addressFamily, ["any", "inet", "inet6"]);
  checkChoice(
    "strictHostKeyChecking",
    options.strictHostKeyChecking,
    ["yes", "ask", "accept-new"],
    "Host keys are always verified. `hostKeyFingerprints` trusts a key without a file.",
  );
}

const CALLBACKS = ["passphrase", "password", "keyboardInteractive", "confirmHostKey", "onNotice"] as const;
const SWITCHES = ["tcpKeepAlive", "compression", "identitiesOnly", "batchMode", "hashKnownHosts"] as const;
const TEXTS = [
  "configFile",
  "identityAgent",
  "hostKeyAlias",
  "bindAddress",
  "proxyJump",
  "proxyCommand",
  "ciphers",
  "kexAlgorithms",
  "macs",
  "hostKeyAlgorithms",
  "pubkeyAcceptedAlgorithms",
  "preferredAuthentications",
] as const;

/** Refuses what is not one of a few words. */
function checkChoice(name: string, value: unknown, choices: readonly string[], hint = ""): void {
  if (value === undefined || (typeof value === "string" && choices.includes(value))) return;
  const quoted = choices.map((choice) => JSON.stringify(choice));
  const list = `${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1)}`;
  throw new PluginError("bad-options", `\`${name}\` must be ${list}, not ${JSON.stringify(value)}.`, { hint });
}

/** Refuses what is not a whole number from 1 on. */
function checkCount(name: string, value: unknown): void {
  if (value === undefined || (Number.isInteger(value) && (value as number) >= 1)) return;
  throw new PluginError("bad-options", `\`${name}\` must be a whole number from 1, not ${JSON.stringify(value)}.`);
}

/** The longest time that a timer can wait for; it fires at once for anything longer. */
export const LONGEST_MS = 2 ** 31 - 1;

/** Refuses what is not a number from 0 to the longest time that a timer can wait for. */
export function checkNumber(name: string, value: unknown): void {
  if (value === undefined || (typeof value === "number" && value >= 0 && value <= LONGEST_MS)) return;
  const shown = typeof value === "number" ? String(value) : JSON.stringify(value);
  throw new PluginError("bad-options", `\`${name}\` must be a number from 0 to ${LONGEST_MS}, not ${shown}.`);
}

/** What was given instead of a callback is not repeated: it is likely to be the secret. */
function checkCallback(name: string, value: unknown): void {
  if (value === undefined || typeof value === "function") return;
  throw new PluginError("bad-options", `\`${name}\` must be a function that is asked for it, not a ${typeof value}.`, {
    hint: "So that a secret is held no longer than it is needed.",
  });
}

/** One line, so that it is one setting. */
function isLine(value: unknown): boolean {
  return isText(value) && !/[\r\n]/.test(value as string);
}

function isText(value: unknown): boolean {
  return typeof value === "string" && value !== "" && !value.includes("\0");
}

/** The value is not repeated: a private key may have been given in place of its file. */
function refuse(name: string, what: string): never {
  throw new PluginError("bad-options", `\`${name}\` must be ${what}.`);
}
