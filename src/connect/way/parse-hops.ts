import { PluginError } from "../../contract/errors.ts";
import { type DestinationParts, parseDestination } from "../destination.ts";

const HOP = /^(?:(?<uri>ssh:\/\/))?(?:(?<user>.+)@)?(?<host>\[[^\]]*\]|[^:@[\]]+)(?::(?<port>\d+))?$/;

/**
 * Reads a list of jump hosts, nearest first: `user@host:port` or `ssh://user@host:port` each, joined by commas. What a
 * hop leaves out is left out here too, for its own configuration to fill in.
 *
 * @throws {PluginError} `config-error` for what is no such list
 */
export function parseHops(text: string): DestinationParts[] {
  return text.split(",").map((hop) => {
    const { uri, user, host = "", port } = HOP.exec(hop)?.groups ?? refuse(text);
    try {
      const parts = {
        host: host.replace(/^\[(.*)\]$/, "$1"),
        ...(user === undefined ? {} : { user: uri ? decodeURIComponent(user) : user }),
        ...(port === undefined ? {} : { port: Number(port) }),
      };
      parseDestination(parts);
      return parts;
    } catch (cause) {
      return refuse(text, cause);
    }
  });
}

/** A list is not repeated where it may hold a password. */
function refuse(text: string, cause?: unknown): never {
  const shown = /:[^,]*@/.test(text.replaceAll("ssh://", "")) ? "no such list" : `${JSON.stringify(text)}`;
  throw new PluginError("config-error", `\`proxyJump\` cannot be ${shown}.`, {
    cause,
    hint: "Give jump hosts as user@host:port, nearest first, joined by commas; or none.",
  });
}
