import { PluginError } from "./errors.ts";

/** `sun_path` holds 108 bytes on Linux and 104 on macOS and the BSDs, with a NUL at the end. */
const LONGEST_PATH = { Linux: 107, other: 103 };

/** A TCP endpoint. An IPv6 host is written without brackets. */
export interface TcpAddress {
  network: "tcp";
  host: string;
  /** 1 to 65535; 0 asks a listener for any free port. */
  port: number;
}

/** A unix domain socket, by the absolute path of its file. */
export interface UnixAddress {
  network: "unix";
  path: string;
}

/** Where something listens: on the host's side or on the plugin's, as the name of the variable says. */
export type Address = TcpAddress | UnixAddress;

/**
 * Reads an address in the two strings that go-plugin uses (`NETWORK` and `ADDRESS` of the handshake line and of the
 * broker's `ConnInfo`). An empty host such as `:1234` is accepted, as go-plugin does, and an IPv6 host needs its
 * brackets, as in Go's `net`. No address has control characters, because it stands in messages as it is.
 *
 * @throws {PluginError} `handshake-failed`, with go-plugin's text `unknown address type`, if the network is neither
 *   `tcp` nor `unix`, or if the address does not fit it
 */
export function parseAddress(network: string, address: string): Address {
  if (network === "unix" && /^\P{Cc}+$/u.test(address)) return { network, path: address };
  if (network === "tcp") {
    const [, host, port] = /^(\[[^\s[\]\p{Cc}]*\]|[^\s[\]:\p{Cc}]*):(\d{1,5})$/u.exec(address) ?? [];
    if (host !== undefined && Number(port) <= 65_535) {
      return { network, host: host.replace(/^\[(.*)\]$/, "$1"), port: Number(port) };
    }
  }
  throw new PluginError("handshake-failed", `unknown address type: ${JSON.stringify(address)} (${network})`);
}

/** The `ADDRESS` string that go-plugin would write for `address`: a path, or `host:port`. */
export function formatAddress(address: Address): string {
  if (address.network === "unix") return address.path;
  return `${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
}

/** The longest socket path, in bytes, that a system can use; `platform` as `process.platform` or `uname` spells it. */
export function longestSocketPath(platform: string): number {
  return /^linux/i.test(platform) || platform === "unknown" ? LONGEST_PATH.Linux : LONGEST_PATH.other;
}
