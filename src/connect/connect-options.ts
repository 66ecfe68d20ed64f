import { PluginError } from "../contract/errors.ts";

/** One question of the server's, as keyboard-interactive authentication asks it. */
export interface KeyboardInteractivePrompt {
  /** The question, foreign text: make it harmless before it goes to a terminal. */
  prompt: string;
  /** Whether the answer may be seen while it is typed. */
  echo: boolean;
}

/** How to reach a box and to prove who we are. Names are OpenSSH's, in camelCase. */
export interface ConnectOptions {
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
  /** Asked for the passphrase of an encrypted key file. `undefined` as answer leaves the key out. */
  passphrase?: (question: { file: string; signal: AbortSignal }) => Promise<string | undefined> | string | undefined;
  /** Asked for the account's password, if the server takes one and no key was accepted. `undefined`: give up. */
  password?: (question: {
    user: string;
    host: string;
    signal: AbortSignal;
  }) => Promise<string | undefined> | string | undefined;
  /** Asked what the server asks. `undefined` as answer: give up. */
  keyboardInteractive?: (question: {
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
   * first user file and trusted. There is no way to trust a key that has changed.
   * @default "yes"
   */
  strictHostKeyChecking?: "yes" | "accept-new";
  /** The name to look up in the known_hosts files instead of the host's. */
  hostKeyAlias?: string;
  /** The only keys to trust, as `ssh-keygen -l` prints them: `SHA256:…`. No file is asked then. */
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
  for (const name of ["passphrase", "password", "keyboardInteractive"] as const) checkCallback(name, options[name]);
  for (const name of ["identityFile", "userKnownHostsFile", "globalKnownHostsFile"] as const) {
    if (options[name] !== undefined && ![options[name]].flat().every(isText)) refuse(name, "a path or a list of paths");
  }
  for (const name of ["identityAgent", "hostKeyAlias"] as const) {
    if (options[name] !== undefined && typeof options[name] !== "string") refuse(name, "a string");
  }
  const strict: unknown = options.strictHostKeyChecking;
  if (strict !== undefined && strict !== "yes" && strict !== "accept-new") {
    throw new PluginError(
      "bad-options",
      `\`strictHostKeyChecking\` must be "yes" or "accept-new", not ${JSON.stringify(strict)}.`,
      { hint: "Host keys are always verified. `hostKeyFingerprints` trusts a key without a file." },
    );
  }
}

/** The longest time that a timer can wait for; it fires at once for anything longer. */
const LONGEST_MS = 2 ** 31 - 1;

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

function isText(value: unknown): boolean {
  return typeof value === "string" && value !== "" && !value.includes("\0");
}

/** The value is not repeated: a private key may have been given in place of its file. */
function refuse(name: string, what: string): never {
  throw new PluginError("bad-options", `\`${name}\` must be ${what}.`);
}
