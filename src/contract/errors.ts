/**
 * Everything that can go wrong, in a closed list: switch on it, because texts may change and codes do not.
 *
 * | code | meaning |
 * |---|---|
 * | `bad-options` | an option was refused before anything was opened |
 * | `config-error` | a file that configures us (a key, known_hosts) cannot be used |
 * | `connect-failed` | no SSH connection came about: name, network, timeout, protocol |
 * | `box-refused` | the server dropped us before its banner (MaxStartups, penalties) |
 * | `host-key-unknown` | no known_hosts file and no pin vouches for the server's key |
 * | `host-key-changed` | another key is on record: perhaps someone else answers |
 * | `host-key-revoked` | the server's key is marked `@revoked` |
 * | `auth-failed` | the server accepted none of the credentials |
 * | `connection-lost` | an established connection broke |
 * | `plugin-not-started` | the command did not begin to run on the box |
 * | `handshake-failed` | the plugin ran, but the go-plugin handshake or its TLS did not succeed |
 * | `plugin-exited` | the plugin is gone, so it cannot answer |
 * | `checksum-mismatch` | the plugin's file is not the one that was asked for |
 * | `forward-forbidden` | the server's configuration forbids a forward |
 * | `forward-failed` | a forward could not be made, for another reason |
 * | `not-found` | what was to be reattached to is not there |
 * | `still-running` | the plugin survived everything that was done to end it |
 * | `timeout` | a deadline passed |
 * | `aborted` | the caller's `AbortSignal` fired |
 * | `closed` | it was closed or killed already |
 * | `unsupported` | it cannot be done here |
 */
export type PluginErrorCode =
  | "bad-options"
  | "config-error"
  | "connect-failed"
  | "box-refused"
  | "host-key-unknown"
  | "host-key-changed"
  | "host-key-revoked"
  | "auth-failed"
  | "connection-lost"
  | "plugin-not-started"
  | "handshake-failed"
  | "plugin-exited"
  | "checksum-mismatch"
  | "forward-forbidden"
  | "forward-failed"
  | "not-found"
  | "still-running"
  | "timeout"
  | "aborted"
  | "closed"
  | "unsupported";

/** What a {@link PluginError} may carry besides its code and its text. */
export interface PluginErrorDetails {
  /** What to do next, in one or two sentences. It is appended to the message. */
  hint?: string | undefined;
  /** The original failure. */
  cause?: unknown;
}

/** The only error class this library throws. Switch on `code`; show `message`; log `cause`. */
export class PluginError extends Error {
  override readonly name = "PluginError";
  readonly code: PluginErrorCode;
  /** What to do next; already part of `message`. Empty where there is nothing useful to say. */
  readonly hint: string;

  /**
   * @param code what kind of failure it is
   * @param what what happened, as one or more sentences, without secrets
   */
  constructor(code: PluginErrorCode, what: string, { hint = "", cause }: PluginErrorDetails = {}) {
    super(`[${code}] ${what}${hint && `\n${hint}`}`, cause === undefined ? {} : { cause });
    this.code = code;
    this.hint = hint;
  }
}
