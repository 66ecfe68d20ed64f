import { isIP } from "node:net";
import { type Address, formatAddress, longestSocketPath } from "../contract/address.ts";
import { PluginError, type PluginErrorCode } from "../contract/errors.ts";

/**
 * Refuses a socket path that the system would cut off: Node 20 does so silently, at both ends.
 *
 * @throws {PluginError} with `code`, naming the path and both lengths
 */
export function checkSocketPath(path: string, limit: number, code: PluginErrorCode, hint: string): void {
  const length = Buffer.byteLength(path);
  if (!path.startsWith("/") || path.includes("\0")) {
    throw new PluginError(code, `${JSON.stringify(path)} is not the absolute path of a socket.`, { hint });
  }
  if (length <= limit) return;
  throw new PluginError(code, `The socket path ${JSON.stringify(path)} has ${length} bytes; a system takes ${limit}.`, {
    hint,
  });
}

/**
 * An address that a plugin gave, as the box itself reaches it: an address for "everywhere" becomes the loopback.
 *
 * @throws {PluginError} `handshake-failed` for an address that is not on the box, unless `allowAddress` takes it, and
 *   for a path or a port that no system can use
 */
export function checkPluginAddress(
  address: Address,
  platform: string,
  allowAddress: (address: Address) => boolean = () => false,
): Address {
  if (address.network === "unix") {
    const hint = "Shorten the temporary directory on the box: name one in `directoryBase`.";
    checkSocketPath(address.path, longestSocketPath(platform), "handshake-failed", hint);
    return address;
  }
  if (!Number.isInteger(address.port) || address.port < 1 || address.port > 65_535) {
    throw new PluginError("handshake-failed", `The plugin's address ${formatAddress(address)} has no port.`, {
      hint: "A plugin must tell the port that it listens on, not the 0 that it asked for.",
    });
  }
  const host = isEverywhere(address.host) ? "127.0.0.1" : address.host;
  if (isLoopback(host) || allowAddress(address)) return { ...address, host };
  throw new PluginError(
    "handshake-failed",
    `The plugin wants to be reached at ${formatAddress(address)}, which is not on the box itself.`,
    {
      hint: "A plugin should listen on its own loopback. If this is meant, allow it with `allowAddress`.",
    },
  );
}

function isEverywhere(host: string): boolean {
  return host === "" || host === "0.0.0.0" || host === "::";
}

function isLoopback(host: string): boolean {
  if (host === "localhost") return true;
  const family = isIP(host);
  if (family === 4) return host.startsWith("127.");
  return family === 6 && (host === "::1" || /^::ffff:127\./i.test(host));
}
