import type { PluginError } from "../contract/errors.ts";
import type { ExitStatus } from "../contract/runner.ts";

/** Why a plugin runs no longer. */
export type ExitReason =
  /** It ended by itself, or somebody else ended it. */
  | { readonly kind: "exited"; readonly exit: ExitStatus }
  /** `kill` ended it; `exit` is `undefined` if how is not known. */
  | { readonly kind: "killed"; readonly exit: ExitStatus | undefined }
  /** The connection to its machine broke, so what became of it is not known here. */
  | { readonly kind: "connection-lost"; readonly error: PluginError }
  /** It never came to serve. */
  | { readonly kind: "start-failed"; readonly error: PluginError };
