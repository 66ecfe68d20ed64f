import type { ConnectOptions } from "./connect-options.ts";
import type { Target } from "./destination.ts";

/** Everything about one connection, decided: options, URL, OpenSSH configuration and defaults are one now. */
export interface Settings {
  /** The name that was asked for, which may be an alias of the configuration; the same reader finds the box again by it. */
  readonly alias: string;
  /** Where to connect in the end. */
  readonly target: Target;
  /** The caller's options, and what the configuration adds to them. Nothing is looked up in a configuration any more. */
  readonly options: ConnectOptions;
  /** What the configuration asks for and `ssh2` cannot do, a phrase each; the system's `ssh` is needed for these. */
  readonly needsOpenSsh: readonly string[];
  /** Whether `identityFile` is what the configuration says, which the system's `ssh` reads by itself. */
  readonly hasConfiguredKeys?: boolean;
  /** Whether it must be a connection of its own, although the user may have a master that could be joined. */
  readonly isApart?: boolean;
}
