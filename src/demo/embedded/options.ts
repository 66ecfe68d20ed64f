import { userInfo } from "node:os";

/** Which directions of forwarding are allowed, as in sshd: `"local"` reaches into the box, `"remote"` comes out of it. */
export type Forwarding = boolean | "local" | "remote";

/** A moment from which on the server never answers, although the TCP connection stays open. */
export type HangPhase = "banner" | "auth" | "channel" | "exec" | "forward";

/** What the embedded server shall be like. Each setting mimics one of sshd, or a fault. */
export interface EmbeddedServerOptions {
  /**
   * The account that the key opens. Commands always run as whoever runs this process.
   * @default the name of the current user
   */
  user?: string;
  /**
   * The home directory, where commands start.
   * @default the current user's
   */
  home?: string;
  /**
   * The shell that runs commands with `-c`, by its absolute path.
   * @default "/bin/sh"
   */
  loginShell?: string;
  /**
   * As sshd's `AllowTcpForwarding`, which also governs unix sockets.
   * @default true
   */
  allowTcpForwarding?: Forwarding;
  /**
   * As sshd's `AllowStreamLocalForwarding`.
   * @default true
   */
  allowStreamLocalForwarding?: Forwarding;
  /**
   * Whether the server has ever heard of forwarding to unix sockets, which dropbear 2022 and servers on Go's x/crypto
   * have not: they refuse the kind of channel, not the address.
   * @default true
   */
  knowsStreamLocal?: boolean;
  /**
   * As sshd's `MaxSessions`: how many commands one connection may have. A slot is taken while its process lives.
   * @default 10
   */
  maxSessions?: number;
  /** As sshd's `ForceCommand`: runs instead of whatever was asked for. */
  forceCommand?: string;
  /** What the login shell's start-up files print before every command. */
  rcNoise?: { stdout?: string; stderr?: string };
  /**
   * Public keys that open the account, one line each. An empty list refuses every key.
   * @default the public half of the generated client key
   */
  authorizedKeys?: readonly string[];
  /** Which password opens which account. Without it, the method is not offered. */
  passwords?: Readonly<Record<string, string>>;
  /** What is asked, without echo, and the answers that open the account. Without it, the method is not offered. */
  keyboardInteractive?: { prompts: readonly string[]; answers: readonly string[] };
  /** Further host keys, offered after the ed25519 one. */
  extraHostKeys?: readonly ("rsa" | "ecdsa")[];
  /** The phase in which the server stops to answer. */
  hangAt?: HangPhase;
  /** Ends every connection before the banner, as sshd does past `MaxStartups`; a text is sent as a line first. */
  dropBeforeBanner?: boolean | string;
  /** Receives one line for each thing that happens. */
  log?: (line: string) => void;
}

/** The options with every default filled in. */
export type ResolvedOptions = Required<
  Omit<EmbeddedServerOptions, "forceCommand" | "keyboardInteractive" | "hangAt" | "authorizedKeys">
> &
  Pick<EmbeddedServerOptions, "forceCommand" | "keyboardInteractive"> & { authorizedKeys: readonly string[] };

/** Fills in the defaults; `clientKey` is the public key that opens the account unless others are named. */
export function resolveOptions(options: EmbeddedServerOptions, clientKey: string): ResolvedOptions {
  const { username, homedir } = currentUser();
  return {
    user: username,
    home: homedir,
    loginShell: "/bin/sh",
    allowTcpForwarding: true,
    allowStreamLocalForwarding: true,
    knowsStreamLocal: true,
    maxSessions: 10,
    rcNoise: {},
    authorizedKeys: [clientKey],
    passwords: {},
    extraHostKeys: [],
    dropBeforeBanner: false,
    log: () => {},
    ...options,
  };
}

/** Whether forwarding in `direction` is allowed by `setting`. */
export function allows(setting: Forwarding, direction: "local" | "remote"): boolean {
  return setting === true || setting === direction;
}

/** Who runs this process; a container may run it as somebody whom the system does not know. */
function currentUser(): { username: string; homedir: string } {
  try {
    return userInfo();
  } catch {
    return { username: process.env.USER ?? "user", homedir: process.env.HOME ?? "/" };
  }
}
