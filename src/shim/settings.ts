import { PluginError } from "../contract/errors.ts";
import type { ConnectOptions, DestinationParts, RelayMode } from "../index.ts";

/** The form of {@link ShimSettings} that this release reads and writes. */
export const SETTINGS_VERSION = 1;

/** From the start to the handshake line, unless told otherwise: hosts give up after 60 s and say nothing useful then. */
export const START_TIMEOUT_MS = 55_000;

/** How the host's connection gets to the plugin. See {@link chooseCarry}. */
export type CarryMode = "auto" | "pass" | "terminate";

/** Everything that a shim is told. It is plain data, because an installed shim carries it in its file. */
export interface ShimSettings {
  /** {@link SETTINGS_VERSION} of the release that wrote it. */
  version: number;
  destination: string | DestinationParts;
  /** How to connect; callbacks have no place in it, since a shim can ask nobody. */
  connect?: ConnectOptions;
  /** The program on the box and its arguments; the host's own arguments are appended. */
  command: readonly string[];
  /** Where it runs on the box. @default the login directory */
  directory?: string;
  /** Patterns of names of the host's environment that travel. @default none */
  forwardEnv?: readonly string[];
  /** The name of the variable that holds the magic cookie. @default found by its place, or among known ones */
  cookie?: string;
  /** @default "auto" */
  carry?: CarryMode;
  /** What the listener on the host's side is. @default "unix" */
  hostNetwork?: "unix" | "tcp";
  /** @default "auto" */
  relay?: RelayMode;
  /** From the start to the handshake line. @default START_TIMEOUT_MS */
  startTimeoutMs?: number;
  /** What to do when the host is gone without a word. @default "end", but "stay" under hosts that come back */
  whenHostDies?: "end" | "stay";
}

/**
 * Refuses settings of another release, which an installed shim may carry.
 *
 * @param again what to type in order to install it again, where the shim knows
 * @throws {PluginError} `config-error` with what to do
 */
export function checkSettings({ version }: ShimSettings, again?: string): void {
  if (version === SETTINGS_VERSION) return;
  throw new PluginError("config-error", "This shim was installed by another release of go-plugin-ssh.", {
    hint:
      again === undefined
        ? "Install it again: `go-plugin-ssh shim --install`, with the same words as before."
        : `Install it again: ${again}`,
  });
}
