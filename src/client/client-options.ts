import type { Writable } from "node:stream";
import { PluginError } from "../contract/errors.ts";
import type { Runner } from "../contract/runner.ts";

/** What host and plugin must agree on. Same as go-plugin's `HandshakeConfig`, with the versions that the host speaks. */
export interface HandshakeConfig {
  /** The variable that tells the plugin that a host started it (`MagicCookieKey`). */
  cookieKey: string;
  /** Its value (`MagicCookieValue`). Not a secret. */
  cookieValue: string;
  /** The versions of the application's protocol that the host can speak; the plugin chooses the newest it knows. */
  protocolVersions: readonly number[];
}

/** Settings of a {@link Client}. */
export interface ClientOptions {
  handshake: HandshakeConfig;
  /**
   * Makes the runner for one start of the plugin. The plugin must be given `environment`, which holds go-plugin's
   * variables.
   */
  createRunner: (environment: Record<string, string>) => Runner | Promise<Runner>;
  /**
   * Protects the connection to the plugin with certificates made for this start. go-plugin servers since v1.2 know it.
   * Same as go-plugin's `ClientConfig.AutoMTLS`, but on unless it is turned off.
   * @default true
   */
  autoMtls?: boolean;
  /** The ports that a plugin without unix sockets may choose from. @default 10_000 */
  minPort?: number;
  /** @default 25_000 */
  maxPort?: number;
  /**
   * How long the runner may take to start the plugin, and the plugin then to say where it listens and to be reached.
   * Same as go-plugin's `ClientConfig.StartTimeout`.
   * @default 60_000
   */
  startTimeoutMs?: number;
  /** How long a plugin that was asked to shut down may take, before it is ended. @default 2_000 */
  shutdownTimeoutMs?: number;
  /** How long a health check may take. @default 5_000 */
  pingTimeoutMs?: number;
  /** Gets the bytes of the plugin's stderr, its log, unchanged. @default they are thrown away */
  stderr?: Writable;
  /** Gets what the plugin's code prints to `os.Stdout` once it serves. @default it is thrown away */
  syncStdout?: Writable;
  /** Gets what the plugin's code prints to `os.Stderr` once it serves. @default it is thrown away */
  syncStderr?: Writable;
}

/** {@link ClientOptions} with the defaults filled in. */
export type ResolvedClientOptions = Required<Omit<ClientOptions, "stderr" | "syncStdout" | "syncStderr">> &
  Pick<ClientOptions, "stderr" | "syncStdout" | "syncStderr">;

const DEFAULTS = {
  autoMtls: true,
  minPort: 10_000,
  maxPort: 25_000,
  startTimeoutMs: 60_000,
  shutdownTimeoutMs: 2_000,
  pingTimeoutMs: 5_000,
};

const NAMES = new Set([...Object.keys(DEFAULTS), "handshake", "createRunner", "stderr", "syncStdout", "syncStderr"]);

/**
 * Checks options and fills in the defaults. The handshake's own values are checked where its variables are made.
 *
 * @throws {PluginError} `bad-options`
 */
export function resolveClientOptions(options: ClientOptions): ResolvedClientOptions {
  for (const [name, value] of Object.entries(options)) {
    if (!NAMES.has(name)) refuse(`There is no option ${JSON.stringify(name)}.`);
    if (name.endsWith("Ms") && !(typeof value === "number" && value > 0 && Number.isFinite(value))) {
      refuse(`\`${name}\` must be a positive number of milliseconds, not ${JSON.stringify(value)}.`);
    }
  }
  if (typeof options.createRunner !== "function") refuse("`createRunner` must be a function that makes a runner.");
  if (typeof options.handshake !== "object" || options.handshake === null) refuse("`handshake` must be given.");
  if (options.autoMtls !== undefined && typeof options.autoMtls !== "boolean")
    refuse("`autoMtls` must be true or false.");
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  return { ...DEFAULTS, ...given } as ResolvedClientOptions;
}

function refuse(what: string): never {
  throw new PluginError("bad-options", what);
}
