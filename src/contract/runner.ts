import type { Duplex, Readable } from "node:stream";
import type { Address } from "./address.ts";
import type { SecureConfig } from "./secure-config.ts";

/**
 * How a process ended: with an exit code, or by a signal. One of the two is `null`; both are, if it has ended and nobody
 * can know how, because it was somebody else's child.
 *
 * Over SSH a signal is seen as a shell sees it, so an exit code from 129 to 159 is reported as the signal that it
 * stands for.
 */
export type ExitStatus =
  | { readonly code: number; readonly signal: null }
  | { readonly code: null; readonly signal: string }
  | { readonly code: null; readonly signal: null };

/** Which process a running plugin is, so that it can be found again, and no other that got its pid. */
export interface PluginProcess {
  /** Its process id, on the plugin's side. */
  readonly pid: number;
  /** When it started, in the words of the kernel there, to be compared and nothing else; `undefined` if it does not tell. */
  readonly startTime: string | undefined;
  /** The box that it runs on, as `ssh://user@host:port`; `undefined` on this machine. */
  readonly destination?: string;
}

/**
 * Rewrites addresses between the host's side and the plugin's side. Used by the host only.
 *
 * Same as go-plugin's `runner.AddrTranslator`.
 */
export interface AddrTranslator {
  /**
   * An address that the plugin gave → where the host can connect to it. Called for the handshake line and for each
   * broker address; may be called often and at once, and answers the same address in the same way.
   */
  pluginToHost(pluginAddress: Address, signal?: AbortSignal): Promise<Address>;
  /**
   * An address on which the host listens → where the plugin can connect to it. When it resolves, the plugin's
   * connections get through.
   */
  hostToPlugin(hostAddress: Address, signal?: AbortSignal): Promise<Address>;
}

/**
 * A running plugin that can be waited for and ended, but not started.
 *
 * Same as go-plugin's `runner.AttachedRunner`.
 */
export interface AttachedRunner extends AddrTranslator, AsyncDisposable {
  /** Identifies the running plugin, for people. Empty until it runs; kept after its end. */
  readonly id: string;
  /** The process that runs; `undefined` before and where the runner cannot tell. Kept after its end. */
  readonly process?: PluginProcess | undefined;
  /**
   * Resolves when the plugin has ended, with how it ended; the answer is kept, so it may be asked at any time and
   * often. `signal` gives up this wait only.
   *
   * @throws {PluginError} `connection-lost` if that cannot be known because the connection broke;
   *   `plugin-not-started` if it turned out that the command could not run
   */
  wait(signal?: AbortSignal): Promise<ExitStatus>;
  /**
   * Ends the plugin and its descendants. May be called at any moment, before, during and after the start, and often.
   * When it resolves they are gone, and so is all that was made for them.
   *
   * @throws {PluginError} `still-running` if they are known to live, `connection-lost` if that cannot be known
   */
  kill(signal?: AbortSignal): Promise<void>;
  /**
   * Connects to an address of the plugin directly, without a listener on the host's side.
   *
   * Not in go-plugin; hosts fall back to {@link AddrTranslator.pluginToHost} where it is missing.
   */
  openStream?(pluginAddress: Address, signal?: AbortSignal): Promise<Duplex>;
}

/**
 * Starts one plugin.
 *
 * Same as go-plugin's `runner.Runner`. Its streams must be read or drained, as with a child process.
 */
export interface Runner extends AttachedRunner {
  /** The program's name, for log lines: its path. */
  readonly name: string;
  /** What the plugin writes to its stdout. Always ends: with the plugin, on kill, and when the connection is lost. */
  readonly stdout: Readable;
  /** What the plugin writes to its stderr. Always ends, as `stdout` does. */
  readonly stderr: Readable;
  /**
   * Says which file the plugin must be: it is hashed on the plugin's side right before it is started, and `start` rejects
   * if it is another. To be called before `start`. Same as go-plugin's `SecureConfig`, which no runner of go-plugin's
   * supports; hosts refuse a `SecureConfig` where this method is missing.
   *
   * From then on `start` may reject with `checksum-mismatch` (`checksums did not match`); with `unsupported` if the
   * plugin's side has no program that makes the digest; with `plugin-not-started` and `error verifying checksum: …` if
   * the file cannot be read.
   *
   * @throws {PluginError} `bad-options` if it makes no sense, or contradicts what the runner was told before; `closed`
   *   after `start`
   */
  requireChecksum?(secureConfig: SecureConfig): void;
  /** Starts the plugin. Aborting `signal` gives up starting; it never ends a plugin that has started. */
  start(signal?: AbortSignal): Promise<void>;
  /** Why the plugin may have failed to start, for people. Never rejects. */
  diagnose(signal?: AbortSignal): Promise<string>;
}

/**
 * Finds a plugin that runs already.
 *
 * Same as go-plugin's `runner.ReattachFunc`; rejects with `not-found` if it is gone.
 */
export type ReattachFunc = (signal?: AbortSignal) => Promise<AttachedRunner>;
